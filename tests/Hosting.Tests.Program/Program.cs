using System.Globalization;
using CiSteps.Hosting;
using CiSteps.Hosting.Options;

// Without "--do" it is a plain child process: hosting-test-step print|tree|linger …
if (args is ["print", var stream, var count, var length])
{
    var writer = stream == "error" ? Console.Error : Console.Out;
    for (var line = 0; line < int.Parse(count, CultureInfo.InvariantCulture); line++)
        writer.Write($"{line} {new string('x', int.Parse(length, CultureInfo.InvariantCulture))}\n");
    return 0;
}

var what = StepOption.Text("do", "what to do");
var file = StepOption.Text("file", "file to write when told to stop");
return await StepHost.RunAsync(new StepCommand("test-step", "Does as it is told.", [what, file], async (context, cancel) =>
{
    switch (context.Options.Get(what))
    {
        case "done":
            return Outcome.Done("it is done");
        case "refuse":
            return Outcome.Refused("no", "the answer is no");
        case "bug":
            throw new InvalidOperationException("unforeseen");
        case "unavailable":
            throw new UnavailableException("registry", "the registry \"r\" did not answer");
        case "wait":
            context.Log.Info("waiting");
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, context.Time, cancel);
            }
            finally
            {
                // Longer than the two seconds that the parser library would grant.
                await Task.Delay(TimeSpan.FromMilliseconds(2500), context.Time, CancellationToken.None);
                await File.WriteAllTextAsync(context.Options.Get(file), "cleaned up", CancellationToken.None);
            }
            return Outcome.Done("never");
        default:
            throw new UsageException("\"do\" must be done, refuse, bug, unavailable or wait");
    }
}), args);
