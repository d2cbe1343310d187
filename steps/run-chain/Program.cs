return await CiSteps.RunChain.Commands.RunChainProgram.RunAsync(args);
