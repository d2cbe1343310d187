return await CiSteps.Hosting.StepHost.RunAsync(CiSteps.Certify.CertifyCommand.Create(), args);
