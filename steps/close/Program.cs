using CiSteps.Close;
using CiSteps.Hosting;

return await StepHost.RunAsync(CloseCommand.Create(), args);
