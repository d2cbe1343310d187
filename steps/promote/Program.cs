using CiSteps.Hosting;
using CiSteps.Promote;

return await StepHost.RunAsync(PromoteCommand.Create(), args);
