using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;

// Each benchmark stands beside the tool that a user would pick instead, which is the baseline: read the Ratio column.
//   dotnet run -c Release --project tests/Benchmarks -- --filter '*'
var job = Job.ShortRun.WithToolchain(InProcessNoEmitToolchain.Instance).WithWarmupCount(1).WithIterationCount(7).WithInvocationCount(1).WithUnrollFactor(1);
BenchmarkSwitcher.FromAssembly(typeof(CiSteps.Benchmarks.StartUp).Assembly).Run(args, DefaultConfig.Instance.AddJob(job));
