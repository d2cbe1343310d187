namespace CiSteps.Benchmarks;

/// <summary>A published executable from start to end, against kubectl: what every step of a chain pays first.</summary>
internal static class StartUp
{
    public static async Task RunAsync(Table table)
    {
        foreach (var (name, what) in new[] { ("merge", "links git only"), ("integration-deploy", "links everything") })
            await table.CompareAsync(
                $"start-up of `{name}` ({what})",
                15,
                () => Programs.RunAsync(Programs.Published(name), "--version"),
                "`kubectl version --client`",
                () => Programs.RunAsync("kubectl", "version", "--client"));
    }
}
