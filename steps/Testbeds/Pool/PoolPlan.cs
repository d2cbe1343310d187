namespace CiSteps.Testbeds.Pool;

/// <summary>What the pool knows at one moment.</summary>
/// <param name="Classes">All classes.</param>
/// <param name="Testbeds">All testbeds.</param>
/// <param name="Claims">All claims.</param>
/// <param name="Silence">How long, by the controller's own clock, the holder of a claim (by uid) has been silent.</param>
internal sealed record PoolState(
    IReadOnlyList<TestbedClass> Classes,
    IReadOnlyList<Testbed> Testbeds,
    IReadOnlyList<TestbedClaim> Claims,
    IReadOnlyDictionary<string, TimeSpan> Silence);

/// <summary>A claim gets a testbed: the one conditional write of a hand-over.</summary>
internal sealed record Assignment(TestbedClaim Claim, Testbed Testbed);

/// <summary>A claim is told that its testbed is ready.</summary>
internal sealed record Binding(TestbedClaim Claim, Testbed Testbed);

/// <summary>A lease ends: the testbed is taken back.</summary>
internal sealed record Reclaim(Testbed Testbed, string Why);

/// <summary>A claim ends by the clock.</summary>
internal sealed record Expiry(TestbedClaim Claim, string Reason, string Why);

/// <summary>A waiting claim is told why it waits.</summary>
internal sealed record Notice(TestbedClaim Claim, string Reason, string Message);

/// <summary>What the pool does next: a pure function of what it knows and of the time.</summary>
internal sealed record PoolPlan(
    IReadOnlyList<Reclaim> Reclaims,
    IReadOnlyList<Expiry> Expiries,
    IReadOnlyList<Binding> Bindings,
    IReadOnlyList<Assignment> Assignments,
    IReadOnlyList<Notice> Notices,
    IReadOnlyList<TestbedClaim> Forgotten,
    DateTimeOffset? NextDeadline)
{
    /// <summary>How long an expired claim stays to be seen.</summary>
    public static TimeSpan Memory { get; } = TimeSpan.FromHours(1);

    /// <summary>Waiting this long counts as one more priority, so that nobody waits for ever.</summary>
    public static TimeSpan Ageing { get; } = TimeSpan.FromMinutes(5);

    /// <summary>The client withdraws its own claims; the pool does it for one that is gone, this much later.</summary>
    private static readonly TimeSpan WaitMargin = TimeSpan.FromSeconds(30);

    public static PoolPlan For(PoolState state, DateTimeOffset now)
    {
        var classes = state.Classes.ToDictionary(c => c.Name, StringComparer.Ordinal);
        var deadlines = new Deadlines(now);
        var expiries = Expire(state, classes, now, deadlines);
        var expired = expiries.Select(expiry => expiry.Claim.Uid).ToHashSet(StringComparer.Ordinal);
        var live = state.Claims
            .Where(claim => claim.Phase != ClaimPhase.Expired && !claim.IsBeingDeleted && !expired.Contains(claim.Uid))
            .ToList();
        // An expiry is one conditional write to the claim, which a sign of life in the last moment wins; only once it is written
        // the testbed is taken back.
        var reclaims = TakeBack(
            state, [.. state.Claims.Where(claim => claim.Phase != ClaimPhase.Expired && !claim.IsBeingDeleted)]);
        var reclaimed = reclaims.Select(reclaim => reclaim.Testbed.Name).ToHashSet(StringComparer.Ordinal);
        var held = state.Testbeds.Where(t => t is { Phase: TestbedPhase.Leased, Lease: not null } && !reclaimed.Contains(t.Name))
            .GroupBy(t => t.Lease!.ClaimUid, StringComparer.Ordinal)
                .ToDictionary(g => g.Key, g => g.First(), StringComparer.Ordinal);
        var queue = Queue.Of(live, now);
        var bindings = new List<Binding>();
        foreach (var set in queue)
            if (set.IsComplete
                && set.Claims.All(
                    claim => claim.Phase == ClaimPhase.Bound || held.TryGetValue(claim.Uid, out var its) && its.Lease!.Issued))
                bindings.AddRange(set.Claims
                    .Where(claim => claim.Phase == ClaimPhase.Pending)
                    .Select(claim => new Binding(claim, held[claim.Uid])));
        var (assignments, givenBack, notices) = Assign(state, classes, queue, held);
        // An expired claim answers for a while why it ended; nobody waits for it any more.
        var forgotten = state.Claims
            .Where(claim => claim.Phase == ClaimPhase.Expired && deadlines.IsPast((claim.EndedAt ?? claim.Created) + Memory))
            .ToList();
        return new PoolPlan([.. reclaims, .. givenBack], expiries, bindings, assignments, notices, forgotten, deadlines.Next);
    }

    private static List<Expiry> Expire(
        PoolState state, Dictionary<string, TestbedClass> classes, DateTimeOffset now, Deadlines deadlines)
    {
        var found = new List<Expiry>();
        foreach (var claim in state.Claims)
        {
            if (claim.Phase == ClaimPhase.Expired || claim.IsBeingDeleted) continue;
            var times = claim.Times(classes.GetValueOrDefault(claim.Class));
            if (claim.Phase == ClaimPhase.Pending)
            {
                if (claim.Wait is { } wait && deadlines.IsPast(claim.Created + wait + WaitMargin))
                    found.Add(new(claim, "WaitedTooLong", "nobody waits for it any more"));
                continue;
            }
            var bound = claim.BoundAt ?? claim.Created;
            if (deadlines.IsPast(bound + times.TimeToLive))
                found.Add(new(claim, "TimeToLive",
                    $"its time to live of {Hosting.Options.Durations.Show(times.TimeToLive)} is over"));
            else if (claim.Holder is null)
            {
                if (deadlines.IsPast(bound + times.HandOverGrace))
                    found.Add(new(claim, "NotPickedUp",
                        $"it was not picked up within {Hosting.Options.Durations.Show(times.HandOverGrace)}"));
            }
            else if (deadlines.IsPast(now - state.Silence.GetValueOrDefault(claim.Uid) + times.LeaseDuration))
                found.Add(new(claim, "Silent",
                    $"its holder \"{claim.Holder}\" has been silent for more than " +
                    $"{Hosting.Options.Durations.Show(times.LeaseDuration)}"));
        }
        return found;
    }

    private static List<Reclaim> TakeBack(PoolState state, List<TestbedClaim> live)
    {
        var owners = live.ToDictionary(claim => claim.Uid, StringComparer.Ordinal);
        var found = new List<Reclaim>();
        foreach (var testbed in state.Testbeds)
        {
            if (testbed.Phase != TestbedPhase.Leased) continue;
            if (testbed.Lease is not { } lease) found.Add(new(testbed, "leased to nobody"));
            else if (!owners.TryGetValue(lease.ClaimUid, out var owner))
                found.Add(new(testbed, $"lease {lease.Number} of claim \"{lease.Claim}\" has ended"));
            else if (owner.Phase == ClaimPhase.Bound && (owner.Testbed != testbed.Name || owner.Lease != lease.Number))
                found.Add(new(testbed, $"claim \"{lease.Claim}\" holds \"{owner.Testbed}\" under lease {owner.Lease} instead"));
        }
        return found;
    }

    /// <summary>
    /// All or nothing per set, in order; who comes later takes nothing that an earlier set needs and could get.
    /// </summary>
    private static (List<Assignment> Assignments, List<Reclaim> GivenBack, List<Notice> Notices) Assign(
        PoolState state,
        Dictionary<string, TestbedClass> classes,
        IReadOnlyList<ClaimSet> queue,
        Dictionary<string, Testbed> held)
    {
        var free = state.Testbeds.Where(t => t.Phase == TestbedPhase.Free && !t.IsBeingDeleted)
            .GroupBy(t => t.Class, StringComparer.Ordinal)
            // The one free for longest first: each testbed gets its turn.
            .ToDictionary(
                g => g.Key,
                g => new Queue<Testbed>(g.OrderBy(t => t.Since ?? default).ThenBy(t => t.Name, StringComparer.Ordinal)),
                StringComparer.Ordinal);
        var usable = state.Testbeds.Where(t => t.Phase != TestbedPhase.Quarantined).GroupBy(t => t.Class, StringComparer.Ordinal)
            .ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);
        var all = state.Testbeds
            .GroupBy(t => t.Class, StringComparer.Ordinal)
            .ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);
        var assignments = new List<Assignment>();
        var givenBack = new List<Reclaim>();
        var notices = new List<Notice>();
        foreach (var set in queue)
        {
            var waiting = set.Claims.Where(claim => claim.Phase == ClaimPhase.Pending && !held.ContainsKey(claim.Uid)).ToList();
            if (waiting.Count == 0) continue;
            if (Impossible(set, classes, all) is { } reason)
            {
                notices.AddRange(waiting
                    .Where(claim => claim.Reason != reason.Word || claim.Message != reason.Text)
                    .Select(claim => new Notice(claim, reason.Word, reason.Text)));
                continue;
            }
            if (!set.IsComplete) continue;
            var needs = waiting.GroupBy(claim => claim.Class, StringComparer.Ordinal).ToList();
            if (needs.TrueForAll(need => free.TryGetValue(need.Key, out var some) && some.Count >= need.Count()))
            {
                assignments.AddRange(waiting.Select(claim => new Assignment(claim, free[claim.Class].Dequeue())));
                continue;
            }
            // What a set holds while it waits for the rest would be a deadlock with another such set.
            givenBack.AddRange(set.Claims.Where(claim => claim.Phase == ClaimPhase.Pending && held.ContainsKey(claim.Uid))
                .Select(claim => new Reclaim(held[claim.Uid], $"the rest of its set \"{set.Id}\" is not to be had now")));
            // Kept for this set, unless it cannot be served before something is mended.
            if (needs.TrueForAll(need => usable.GetValueOrDefault(need.Key) >= need.Count()))
                foreach (var need in needs)
                    if (free.TryGetValue(need.Key, out var some))
                        for (var kept = 0; kept < need.Count() && some.Count > 0; kept++) some.Dequeue();
            notices.AddRange(waiting
                .Where(claim => claim.Reason != "Waiting")
                .Select(claim => new Notice(claim, "Waiting", "waits for a free testbed")));
        }
        return (assignments, givenBack, notices);
    }

    private static (string Word, string Text)? Impossible(
        ClaimSet set, Dictionary<string, TestbedClass> classes, Dictionary<string, int> all)
    {
        foreach (var need in set.Claims.GroupBy(claim => claim.Class, StringComparer.Ordinal))
        {
            if (!classes.TryGetValue(need.Key, out var its))
                return ("NoSuchClass",
                    $"there is no testbed class \"{need.Key}\"; there are: " +
                    $"{(classes.Count == 0 ? "none" : string.Join(", ", classes.Keys.Order(StringComparer.Ordinal)))}");
            var most = Math.Max(all.GetValueOrDefault(need.Key), its.Capacity);
            if (most < need.Count())
                return ("TooManyAsked",
                    $"{need.Count()} testbeds of class \"{need.Key}\" are asked for at once, the class has {most}");
        }
        return null;
    }

    private sealed class Deadlines(DateTimeOffset now)
    {
        public DateTimeOffset? Next { get; private set; }

        public bool IsPast(DateTimeOffset deadline)
        {
            if (deadline <= now) return true;
            if (Next is null || deadline < Next) Next = deadline;
            return false;
        }
    }
}

/// <summary>Claims that are bound together.</summary>
internal sealed record ClaimSet(string Id, int Size, IReadOnlyList<TestbedClaim> Claims, DateTimeOffset Since, double Rank)
{
    /// <summary>Whether all of its claims are there.</summary>
    public bool IsComplete => Claims.Count >= Size;
}

/// <summary>The order in which claims are served: priority with ageing, then age, then name.</summary>
internal static class Queue
{
    public static IReadOnlyList<ClaimSet> Of(IEnumerable<TestbedClaim> claims, DateTimeOffset now) =>
        [.. claims.GroupBy(claim => claim.Set, StringComparer.Ordinal)
            .Select(set => (Set: set, Since: set.Min(claim => claim.Created)))
            .Select(
                set => new ClaimSet(
                    set.Set.Key,
                    set.Set.Max(claim => claim.SetSize),
                    [.. set.Set.OrderBy(claim => claim.Name, StringComparer.Ordinal)],
                    set.Since,
                    set.Set.Max(claim => claim.Priority) + Math.Floor((now - set.Since) / PoolPlan.Ageing)))
            .OrderByDescending(set => set.Rank).ThenBy(set => set.Since).ThenBy(set => set.Id, StringComparer.Ordinal)];
}
