using System.IO.Pipes;
using Microsoft.Win32.SafeHandles;

namespace CiSteps.Hosting;

/// <summary>
/// Has a child end when this process is killed and can do nothing any more. The child runs below a small shell that holds the
/// reading end of a pipe;
/// the writing end is in this process only, so the pipe ends with it, however it ends.
/// </summary>
internal sealed class DeathWatch : IDisposable
{
    private const string Shell = "/bin/sh";

    // $1 the pipe's descriptor, $2 the mark's variable, $3 the mark; the rest is the command. It keeps its standard input, and
    // its exit code is handed on.
    // A parent-death signal would not do: it comes as soon as the thread ends that started the child.
    private const string Script = """
        exec 8<&0 9<"/dev/fd/$1"
        variable=$2 mark=$3
        eval "inherited=\${$variable-}"
        shift 3
        env "$variable=${inherited:+$inherited:}$mark" "$@" <&8 8<&- 9<&- &
        child=$!
        exec 8<&- 0</dev/null
        (
            while read -r line; do :; done <&9
            # The shell above first: when the child ends it would end this watch.
            kill -KILL "$$"
            for round in 1 2 3; do
                for file in /proc/[0-9]*/environ; do
                    grep -qs -e "$mark" "$file" || continue
                    id=${file#/proc/}
                    kill -KILL "${id%/environ}"
                done
            done
            kill -KILL "$child"
        ) 2>/dev/null &
        watch=$!
        wait "$child"
        code=$?
        kill -KILL "$watch" 2>/dev/null
        exit "$code"
        """;

    private readonly AnonymousPipeServerStream pipe = new(PipeDirection.Out, HandleInheritability.Inheritable);
    private readonly ProcessTree tree;
    private readonly string reader;
    private readonly SafeFileHandle writer;

    private DeathWatch(ProcessTree tree)
    {
        this.tree = tree;
        reader = pipe.GetClientHandleAsString();
        // Both ends would be inherited; the writing one is opened anew for this process alone.
        writer = File.OpenHandle(
            $"/dev/fd/{pipe.SafePipeHandle.DangerousGetHandle()}", FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        pipe.SafePipeHandle.Dispose();
    }

    /// <summary>A watch for a child; null where there is no shell for it.</summary>
    public static DeathWatch? Open(ProcessTree tree) =>
        !OperatingSystem.IsWindows() && File.Exists(Shell) ? new DeathWatch(tree) : null;

    /// <summary>The watch's own program.</summary>
    public static string Program => Shell;

    /// <summary>The watch's arguments that have it start the child.</summary>
    /// <param name="path">The child's path.</param>
    /// <param name="arguments">The child's arguments, unquoted.</param>
    public IReadOnlyList<string> Arguments(string path, IReadOnlyList<string> arguments) =>
        ["-c", Script, "watch", reader, ProcessTree.Variable, tree.Own, path, .. arguments];

    /// <summary>The child has the reading end now; here it is closed.</summary>
    public void Started() => pipe.DisposeLocalCopyOfClientHandle();

    public void Dispose()
    {
        pipe.Dispose();
        writer.Dispose();
    }
}
