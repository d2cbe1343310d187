using CiSteps.RunChain.Commands;

return await RunChainProgram.RunAsync(args);
