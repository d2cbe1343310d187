using CiSteps.Hosting;
using CiSteps.Repositories;

namespace CiSteps.Merge;

/// <summary>What a server's refusal means for people.</summary>
internal static class PushRefusal
{
    /// <summary>The outcome, with the server's own words and what to do.</summary>
    public static Outcome Of(PushResult push, string target, string repository) => push.End switch
    {
        PushEnd.Protected => Outcome.Refused("protected",
            $"\"{target}\" is protected on {repository}: {push.Text}; let the user of merge push to it, or bypass the rule",
            Fault.Environment),
        PushEnd.RequiredCheck => Outcome.Refused("required-check",
            $"{repository} takes nothing into \"{target}\" without a check that it does not have: {push.Text}; " +
            "let that check be reported for the commit, or let the user of merge bypass the rule", Fault.Environment),
        PushEnd.QueueRequired => Outcome.Refused("queue-required",
            $"{repository} changes \"{target}\" from its merge queue only: {push.Text}; " +
            "put the change into the queue, or let the user of merge bypass the rule", Fault.Environment),
        PushEnd.Hook => Outcome.Refused("hook",
            $"a hook of {repository} refused the merge into \"{target}\": {push.Text}; mend what it asks for, or ask who " +
            $"keeps the hook"),
        _ => Outcome.Refused("refused", $"{repository} refused the merge into \"{target}\": {push.Text}"),
    };
}
