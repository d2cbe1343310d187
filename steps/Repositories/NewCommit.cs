using System.Globalization;
using System.Text;
using CiSteps.Hosting;
using LibGit2Sharp;

namespace CiSteps.Repositories;

/// <summary>Author or committer.</summary>
/// <param name="Name">Name.</param>
/// <param name="Email">E-mail address.</param>
public sealed record CommitPerson(string Name, string Email)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Name} <{Email}>";
}

/// <summary>What a commit is signed with, as git signs: <c>ssh</c> (a private key's file, or a public key's whose private one the
/// agent has) or <c>gpg</c> (a key's id).</summary>
/// <param name="Format">ssh or gpg.</param>
/// <param name="Key">The key.</param>
public sealed record CommitSigning(string Format, string Key);

/// <summary>A commit to be written; no branch moves by it.</summary>
/// <param name="Tree">Its tree's id.</param>
/// <param name="Parents">Its parents' ids.</param>
/// <param name="Message">Its message.</param>
/// <param name="Author">Who made the change.</param>
/// <param name="Committer">Who made the commit.</param>
/// <param name="When">When it is made.</param>
public sealed record NewCommit(
    string Tree, IReadOnlyList<string> Parents, string Message, CommitPerson Author, CommitPerson Committer, DateTimeOffset When)
{
    /// <summary>The line in a message that says which commit was tested, up to that.</summary>
    public const string Tested = "Tested-commit: ";

    /// <summary>Writes it. The same values give the same id, unless it is signed.</summary>
    /// <param name="repository">Where to.</param>
    /// <param name="signing">What it is signed with; null: not at all, whatever the clone's configuration says.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UsageException">The name or address is not fit for a commit, or it cannot be signed.</exception>
    public async Task<string> WriteAsync(WorkRepository repository, CommitSigning? signing, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(repository);
        foreach (var person in (CommitPerson[])[Author, Committer])
            if (person.Name.Length == 0 || person.Email.Length == 0
                || (person.Name + person.Email).IndexOfAny(['<', '>', '\n']) >= 0)
                throw new UsageException($"\"{person}\" is not a name and address that git takes; give --committer-name " +
                    $"and --committer-email");
        var message = Message.ReplaceLineEndings("\n").Trim() + "\n";
        if (signing is null)
            return GitFailure.Translate(repository.Folder, () =>
                // The library's own tidying of the message leaves nothing of it when it is linked to native code.
                repository.Native.ObjectDatabase.CreateCommit(new Signature(Author.Name, Author.Email, When),
                    new Signature(Committer.Name, Committer.Email, When), message, repository.Native.Lookup<Tree>(Tree),
                    Parents.Select(repository.Get), prettifyMessage: false).Sha);
        var content = Content(message);
        var signature = await SignAsync(repository.Folder, content, signing, cancel).ConfigureAwait(false);
        return GitFailure.Translate(repository.Folder, () =>
            repository.Native.ObjectDatabase.CreateCommitWithSignature(content, signature).Sha);
    }

    private string Content(string message)
    {
        var content = new StringBuilder($"tree {Tree}\n");
        foreach (var parent in Parents) content.Append(CultureInfo.InvariantCulture, $"parent {parent}\n");
        var zone = (When.Offset < TimeSpan.Zero ? "-" : "+") + When.Offset.ToString("hhmm", CultureInfo.InvariantCulture);
        foreach (var (role, person) in (IEnumerable<(string, CommitPerson)>)[("author", Author), ("committer", Committer)])
            content.Append(CultureInfo.InvariantCulture, $"{role} {person} {When.ToUnixTimeSeconds()} {zone}\n");
        return content.Append('\n').Append(message).ToString();
    }

    private static async Task<string> SignAsync(string folder, string content, CommitSigning signing, CancellationToken cancel)
    {
        var (program, arguments) = signing.Format == "ssh"
            ? ("ssh-keygen", (string[])["-Y", "sign", "-n", "git", "-f", signing.Key])
            : ("gpg", ["--batch", "--no-tty", "-bsau", signing.Key]);
        var (exit, output, error) = await ChildProcess.CaptureAsync(new(program, arguments, folder)
        {
            Input = async (stream, stop) => await stream.WriteAsync(Encoding.UTF8.GetBytes(content), stop).ConfigureAwait(false),
        }, cancel).ConfigureAwait(false);
        return exit == 0 && output.StartsWith("-----BEGIN ", StringComparison.Ordinal)
            ? output.ReplaceLineEndings("\n").TrimEnd('\n')
            : throw new UsageException($"the commit cannot be signed with the {signing.Format} key \"{signing.Key}\": " +
                $"{error.Trim().ReplaceLineEndings("; ")}; nothing was pushed: mend --sign and --signing-key");
    }
}
