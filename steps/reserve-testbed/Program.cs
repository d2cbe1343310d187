return await CiSteps.Hosting.StepHost.RunAsync(CiSteps.ReserveTestbed.ReserveTestbedCommand.Create(), args);
