using CiSteps.Hosting;
using CiSteps.RunChain.Closing;
using CiSteps.RunChain.Commands;

// close is a step like the others: it has their settings, evidence and endings.
return args is ["close", .. var rest] ? await StepHost.RunAsync(CloseCommand.Create(), rest) : await ProgramHost.RunAsync(RunChainProgram.Create(), args);
