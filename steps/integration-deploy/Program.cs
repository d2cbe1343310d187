using CiSteps.Hosting;
using CiSteps.IntegrationDeploy;

return await StepHost.RunAsync(IntegrationDeployCommand.Create(), args);
