return await CiSteps.Hosting.StepHost.RunAsync(CiSteps.ImageBuild.ImageBuildCommand.Create(), args);
