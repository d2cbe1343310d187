using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.TeamCity.Scaffolding;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Installing;

/// <summary>A place in the settings that holds a secret.</summary>
/// <param name="Owner">Id of the project, configuration, template or VCS root that has it.</param>
/// <param name="Parameter">The parameter, with where it stands.</param>
public sealed record SecretPlace(string Owner, Parameter Parameter)
{
    private const string Scheme = "credentialsJSON:";

    /// <summary>How a person names it: <c>CiSteps_Branch:env.CISTEPS_REGISTRY_PASSWORD</c>.</summary>
    public string Name => $"{Owner}:{Parameter.Name}";

    /// <summary>The server's name of the secret, as the settings refer to it; null when they do not yet.</summary>
    public string? Token => Parameter.Value.StartsWith(Scheme, StringComparison.Ordinal) ? Parameter.Value : null;

    /// <summary>The reference that it would get: always the same one, so that preparing twice changes nothing.</summary>
    public string NewToken => Scheme + ServiceSettings.Uuid($"secret/{Name}");
}

/// <summary>
/// Secrets of an installation: where the settings refer to them, and the values from a file that stays with the administrator.
/// </summary>
public static partial class InstallSecrets
{
    /// <summary>All places that hold a secret, in the tree's order.</summary>
    public static IReadOnlyList<SecretPlace> In(SettingsTree tree) =>
    [
        .. tree.Projects.Values.SelectMany(project => Of(project.Id, project.Parameters, project.Extensions)),
        .. tree.Builds.Values.SelectMany(build => Of(build.Id, build.Parameters, build.Extensions)),
        .. tree.VcsRoots.Values.SelectMany(root => Of(root.Id, root.Parameters, [])),
    ];

    /// <summary>
    /// Reads <c>owner:parameter=value</c> lines; <c>=@path</c> takes the value from a file, for keys of several lines.
    /// </summary>
    /// <exception cref="UsageException">The file is not of that form, or names what the settings do not have. No message holds a
    /// value.</exception>
    public static IReadOnlyDictionary<string, string> Read(string file, IReadOnlyList<SecretPlace> places)
    {
        var secrets = new Dictionary<string, string>(StringComparer.Ordinal);
        var number = 0;
        foreach (var line in Lines(file, $"cannot read secrets from \"{file}\"").Select(line => line.Trim()))
        {
            number++;
            if (line.Length == 0 || line[0] == '#') continue;
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            // Without a colon before it, it may be the middle of a key that was pasted in.
            if (equals <= 0 || !line[..equals].Contains(':', StringComparison.Ordinal))
                throw new UsageException(
                    $"{file}:{number} is not <owner>:<parameter>=<value>; a value of several lines stands in a file of its " +
                    "own: =@path");
            var (name, value) = (line[..equals].TrimEnd(), line[(equals + 1)..].TrimStart());
            if (places.All(place => place.Name != name))
                throw new UsageException(
                    $"{file}:{number}: the settings have no secret \"{name}\"; they have " +
                    $"{string.Join(", ", places.Select(place => place.Name))}");
            // What follows the @ may be a secret that begins with one.
            if (value.StartsWith('@'))
                value = string.Join(
                    '\n',
                    Lines(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file))!, value[1..]),
                        $"{file}:{number}: \"{name}\" names a file after the @ that cannot be read; " +
                        "a value that begins with @ itself stands in a file"));
            if (value.Length == 0) throw new UsageException($"{file}:{number}: \"{name}\" has no value");
            if (!secrets.TryAdd(name, value)) throw new UsageException($"{file}:{number}: \"{name}\" stands there twice");
        }
        return secrets;
    }

    /// <summary>Writes a reference where a secret is given and the settings have none yet; gives the changed files.</summary>
    public static IReadOnlyList<string> Prepare(
        SettingsTree tree, IReadOnlyList<SecretPlace> places, IReadOnlyDictionary<string, string> secrets)
    {
        var changed = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var place in places.Where(place => place.Token is null && secrets.ContainsKey(place.Name)))
        {
            var path = Path.Combine(tree.Folder, place.Parameter.At.File);
            var lines = File.ReadAllText(path).Split('\n');
            var at = place.Parameter.At.Line - 1;
            var written = EmptyValue().Replace(lines[at], $"value=\"{place.NewToken}\"", 1);
            if (written == lines[at])
                throw new UsageException(
                    $"{place.Parameter.At}: \"{place.Parameter.Name}\" holds a value in the settings themselves; " +
                    "empty it (value=\"\"), then prepare again");
            lines[at] = written;
            WholeFile.Write(path, string.Join('\n', lines));
            changed.Add(place.Parameter.At.File);
        }
        return [.. changed];
    }

    private static IEnumerable<SecretPlace> Of(string owner, ParameterSet parameters, IReadOnlyList<Extension> extensions) =>
        parameters.All.Concat(extensions.SelectMany(extension => extension.Parameters.All))
            .Where(parameter => parameter.IsPassword || parameter.Name.StartsWith("secure:", StringComparison.Ordinal))
            .Select(parameter => new SecretPlace(owner, parameter));

    // No system's message: it holds the path.
    private static string[] Lines(string file, string refusal)
    {
        try
        {
            return File.ReadAllLines(file);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new UsageException(
                refusal
                    + (failure is FileNotFoundException or DirectoryNotFoundException
                        ? " (there is no such file)"
                        : failure is UnauthorizedAccessException ? " (access is denied, or it is a folder)" : ""));
        }
    }

    [GeneratedRegex("value=\"\"")]
    private static partial Regex EmptyValue();
}
