using CiSteps.Benchmarks;

// Each figure stands beside that of the tool which a user would pick instead; the two take turns, so that a busy machine is
// unfair to neither.
//   dotnet run -c Release --project tests/Benchmarks -- [NAME…]
var all = new (string Name, Func<Table, Task> Run)[]
{
    ("start-up", StartUp.RunAsync),
    ("hand-out", HandOut.RunAsync),
    ("retag", Retag.RunAsync),
    ("merge", Merging.RunAsync),
    ("image-build", ImageBuilding.RunAsync),
    ("failed-rollout", FailedRollout.RunAsync),
    ("sandbox-start", SandboxStart.RunAsync),
    ("sandbox-load", SandboxLoad.RunAsync),
};
foreach (var unknown in args.Where(name => all.All(one => one.Name != name)))
{
    await Console.Error.WriteLineAsync(
        $"there is no benchmark \"{unknown}\"; there are {string.Join(", ", all.Select(one => one.Name))}");
    return 2;
}
var table = new Table(Console.Out);
foreach (var (_, run) in all.Where(one => args.Length == 0 || args.Contains(one.Name))) await run(table);
return 0;
