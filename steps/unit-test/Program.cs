using CiSteps.Hosting;
using CiSteps.UnitTest;

return await StepHost.RunAsync(UnitTestCommand.Create(), args);
