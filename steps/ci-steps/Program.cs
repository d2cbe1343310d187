using CiSteps.Cli.Commands;

return await CiStepsProgram.RunAsync(args);
