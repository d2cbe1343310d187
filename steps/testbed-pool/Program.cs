return await CiSteps.Hosting.ProgramHost.RunAsync(CiSteps.TestbedPool.PoolProgram.Create(), args);
