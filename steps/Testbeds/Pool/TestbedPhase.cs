namespace CiSteps.Testbeds.Pool;

/// <summary>Where a testbed is in its life. The only states there are; see <see cref="TestbedPhases.MayFollow"/>.</summary>
internal enum TestbedPhase
{
    /// <summary>Being made, or registered: no baseline yet.</summary>
    Provisioning,

    /// <summary>Leftovers are being removed and the result compared with the baseline.</summary>
    Cleaning,

    /// <summary>Clean and waiting for a claim.</summary>
    Free,

    /// <summary>Belongs to exactly one claim, under a lease number of its own.</summary>
    Leased,

    /// <summary>The lease has ended; its credentials are being made worthless.</summary>
    Revoking,

    /// <summary>Failed too often; waits for a person.</summary>
    Quarantined,
}

/// <summary>The closed state machine of testbeds.</summary>
internal static class TestbedPhases
{
    /// <summary>
    /// Whether a testbed in one phase may next be in the other. A leased testbed never becomes free without revocation and
    /// cleaning.
    /// </summary>
    public static bool MayFollow(TestbedPhase from, TestbedPhase to) => (from, to) switch
    {
        (TestbedPhase.Provisioning, TestbedPhase.Cleaning or TestbedPhase.Quarantined) => true,
        (TestbedPhase.Cleaning, TestbedPhase.Free or TestbedPhase.Quarantined) => true,
        (TestbedPhase.Free, TestbedPhase.Leased or TestbedPhase.Cleaning or TestbedPhase.Quarantined) => true,
        (TestbedPhase.Leased, TestbedPhase.Revoking) => true,
        (TestbedPhase.Revoking, TestbedPhase.Cleaning or TestbedPhase.Quarantined) => true,
        // Back by a person's word only; what had no baseline yet starts over, what may still be held by old credentials is
        // revoked again.
        (TestbedPhase.Quarantined, TestbedPhase.Provisioning or TestbedPhase.Revoking or TestbedPhase.Cleaning) => true,
        _ => from == to,
    };
}

/// <summary>Where a claim is in its life.</summary>
internal enum ClaimPhase
{
    /// <summary>Waits in the queue.</summary>
    Pending,

    /// <summary>Has a testbed, with credentials ready.</summary>
    Bound,

    /// <summary>Was not picked up, fell silent or took too long; the testbed is taken back.</summary>
    Expired,
}
