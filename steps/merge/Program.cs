return await CiSteps.Hosting.StepHost.RunAsync(CiSteps.Merge.MergeCommand.Create(), args);
