using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using CiSteps.Hosting;
using CiSteps.TeamCity.Branches;
using CiSteps.TeamCity.Checking;

namespace CiSteps.TeamCity.Scaffolding;

/// <summary>What a service's settings are made from.</summary>
/// <param name="Service">Its name, as people write it.</param>
/// <param name="Repository">Its repository's address.</param>
/// <param name="TargetBranch">Where releases come from.</param>
/// <param name="PrivateBranches">Pattern of the branches that the branch chain builds.</param>
public sealed record ServiceRequest(string Service, string Repository, string TargetBranch, string PrivateBranches)
{
    /// <summary>The service's part of ids: <c>greeter-api</c> becomes <c>GreeterApi</c>.</summary>
    /// <exception cref="UsageException">The name gives no id.</exception>
    public string IdPart
    {
        get
        {
            var part = string.Concat(Service
                .Split(['-', '_', '.', ' ', '/'], StringSplitOptions.RemoveEmptyEntries)
                .Select(word => char.ToUpperInvariant(word[0]) + word[1..]));
            if (part is "Branch" or "Release")
                throw new UsageException($"the service name \"{Service}\" gives the id of the pattern itself; give another");
            return part.Length is > 0 and <= 40 && StructureRules.IsId(part) ? part
                : throw new UsageException(
                    $"the service name \"{Service}\" gives no id: letters, digits and - only, a letter first, at most 40");
        }
    }
}

/// <summary>
/// Settings for one more service: both chains of a settings tree under ids, uuids and a repository of its own. The same request
/// gives the same bytes.
/// </summary>
public static partial class ServiceSettings
{
    private const string Parent = "CiSteps";
    private const string Xsi = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
    private const string Schema =
        "xsi:noNamespaceSchemaLocation=\"https://www.jetbrains.com/teamcity/schemas/2025.3/project-config.xsd\"";
    private const string TargetBranchSpec =
        "text description='Branch that releases come from: it judges each change, whatever the change itself says.' " +
        "validationMode='not_empty' label='Target branch'";
    private static readonly string[] Chains = ["Branch", "Release"];

    /// <summary>The files by their path below <c>.teamcity</c>.</summary>
    /// <param name="folder">The <c>.teamcity</c> folder with the chains to take as the pattern.</param>
    /// <param name="request">What is asked for: name, repository, branches.</param>
    /// <exception cref="UsageException">The pattern is not there, or the request is wrong.</exception>
    public static IReadOnlyDictionary<string, string> For(string folder, ServiceRequest request)
    {
        var own = $"{Parent}_{request.IdPart}";
        RefuseWrong(request);
        var files = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var chain in Chains)
        {
            var source = Path.Combine(folder, $"{Parent}_{chain}");
            if (!Directory.Exists(source))
                throw new UsageException($"there is no project {Parent}_{chain} in {folder} to take as the pattern");
            foreach (var file in Directory.GetFiles(source, "*.xml", SearchOption.AllDirectories))
            {
                var path = Rename(Path.GetRelativePath(folder, file).Replace('\\', '/'), request.IdPart);
                files[path] = Fill(File.ReadAllText(file), path, own, request);
            }
        }
        var root = Path.Combine(folder, Parent, "vcsRoots", $"{Parent}_Repository.xml");
        if (!File.Exists(root))
            throw new UsageException($"there is no VCS root {Parent}_Repository in {folder} to take as the pattern");
        var rootPath = $"{own}/vcsRoots/{own}_Repository.xml";
        files[rootPath] = FillRoot(Fill(File.ReadAllText(root), rootPath, own, request), request);
        files[$"{own}/pluginData/plugin-settings.xml"] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<settings />\n\n";
        files[$"{own}/project-config.xml"] = $"""
            <?xml version="1.0" encoding="UTF-8"?>
            <project {Xsi} parent-id="{Parent}" uuid="{Uuid(own + "/project-config.xml")}" {Schema}>
              <name>{Escape(request.Service)}</name>
              <description>Both chains of {Escape(request.Service)}.</description>
              <parameters>
                <param name="cisteps.target.branch" value="{Escape(request.TargetBranch)}" spec="{TargetBranchSpec}" />
              </parameters>
              <subprojectsOrder order="{own}_Branch,{own}_Release" />
            </project>


            """.ReplaceLineEndings("\n");
        return files.ToDictionary(
            file => file.Key, file => KeepSecrets(file.Value, Path.Combine(folder, file.Key)), StringComparer.Ordinal);
    }

    /// <summary>
    /// A uuid that derives from the file's path, so that a second run gives the same one and another service another.
    /// </summary>
    internal static string Uuid(string path)
    {
        var bytes = SHA256.HashData(Encoding.UTF8.GetBytes("cisteps.dev/settings/" + path))[..16];
        // Marked as one of a form of its own (version 8).
        bytes[6] = (byte)((bytes[6] & 0x0f) | 0x80);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        return new Guid(bytes, bigEndian: true).ToString("D");
    }

    private static void RefuseWrong(ServiceRequest request)
    {
        var (target, pattern) = (request.TargetBranch, request.PrivateBranches);
        if (pattern.Count(unit => unit == '*') != 1)
            throw new UsageException($"the branch pattern \"{pattern}\" needs exactly one star, such as ci/*");
        foreach (var branch in (string[])[target, pattern.Replace("*", "x", StringComparison.Ordinal)])
        {
            if (branch.StartsWith("refs/", StringComparison.Ordinal))
                throw new UsageException($"give the branch \"{branch}\" by its name, without refs/heads/");
            if (!BranchName().IsMatch(branch)) throw new UsageException($"\"{branch}\" is not a branch's name");
        }
        // Else a push to the target branch would start both chains.
        if (new BranchSpec("refs/heads/none", pattern).LogicalName(target) is not null)
            throw new UsageException(
                $"the pattern of private branches \"{pattern}\" takes the target branch \"{target}\" too; " +
                "give one that does not, such as ci/*");
        // The message holds no part of the address: whatever it is, it may be a secret.
        if (request.Repository.Length == 0 || request.Repository.Any(unit => char.IsWhiteSpace(unit) || char.IsControl(unit)))
            throw new UsageException(
                "--repository is not an address: it is empty or holds a blank; give it as git clone takes it");
        if (request.Repository.Contains('%', StringComparison.Ordinal))
            throw new UsageException(
                "the repository's address holds a \"%\", which TeamCity reads as a parameter's; give another form of it (ssh), " +
                "or set it in the VCS root afterwards, with %% for each %");
        if (!Uri.TryCreate(request.Repository, UriKind.Absolute, out var address)) return;
        // In front of https a lone user may be an access token as well.
        if (address.UserInfo.Contains(':', StringComparison.Ordinal)
            || address.Scheme is "http" or "https" && (address.UserInfo.Length > 0 || address.Query.Length > 0))
            throw new UsageException(
                "the repository's address holds a user, a password or a token, and would stand in the settings; " +
                "give the address alone, and the credentials in the VCS root");
    }

    // CiSteps_Branch, CiSteps_Release and CiSteps_Repository are the service's; templates and recipes stay the parent's.
    private static string Rename(string text, string part) =>
        OwnIds().Replace(text, match => $"{Parent}_{part}_{match.Groups[1].Value}");

    private static string Fill(string text, string path, string own, ServiceRequest request)
    {
        text = Rename(text, request.IdPart).Replace($"parent-id=\"{Parent}\"", $"parent-id=\"{own}\"", StringComparison.Ordinal);
        // Secrets are not the next service's.
        text = SecretReference().Replace(text, "");
        return UuidAttribute().Replace(text, $"uuid=\"{Uuid(path)}\"");
    }

    // References to the service's own secrets, which an installation has written.
    private static string KeepSecrets(string text, string existing)
    {
        if (!File.Exists(existing)) return text;
        var kept = File.ReadAllText(existing)
            .Split('\n')
            .Where(line => SecretReference().IsMatch(line))
            .DistinctBy(line => SecretReference().Replace(line, ""))
            .ToDictionary(line => SecretReference().Replace(line, ""), line => line, StringComparer.Ordinal);
        return string.Join('\n', text.Split('\n').Select(line => kept.GetValueOrDefault(line, line)));
    }

    private static string FillRoot(string text, ServiceRequest request)
    {
        text = Element(text, "url", $"value=\"{Escape(request.Repository)}\" />");
        if (IsSsh(request.Repository)) text = Element(text, "authMethod", "value=\"PRIVATE_KEY_DEFAULT\" />");
        text = Element(text, "branch", $"value=\"refs/heads/{Escape(request.TargetBranch)}\" />");
        text = text.Replace(
            "<name>service repository</name>", $"<name>{Escape(request.Service)} repository</name>", StringComparison.Ordinal);
        return BranchSpec().Replace(text, _ =>
            "<param name=\"teamcity:branchSpec\"><![CDATA[#! fallbackToDefault: " +
            $"false\n+:refs/heads/({request.TargetBranch})\n+:refs/heads/({request.PrivateBranches})]]></param>");
    }

    private static string Element(string text, string name, string rest) =>
        Regex.Replace(text, $"<param name=\"{Regex.Escape(name)}\" value=\"[^\"]*\" />", _ => $"<param name=\"{name}\" {rest}");

    private static bool IsSsh(string address) =>
        address.StartsWith("ssh://", StringComparison.Ordinal) || ShortSsh().IsMatch(address);

    private static string Escape(string text) => new XText(text).ToString().Replace("\"", "&quot;", StringComparison.Ordinal);

    [GeneratedRegex(@"\bCiSteps_(Branch|Release|Repository)(?=\b|_)")]
    private static partial Regex OwnIds();

    [GeneratedRegex("credentialsJSON:[0-9A-Za-z-]+(?=\" spec=\"password|\" />)")]
    private static partial Regex SecretReference();

    [GeneratedRegex(@"^[\w.-]+@[\w.-]+:(?!//)")]
    private static partial Regex ShortSsh();

    [GeneratedRegex(@"^(?!.*(?:\.\.|//|/\.|@\{))[^\s~^:?*\[\]\\()<>&""'%/.-][^\s~^:?*\[\]\\()<>&""'%]*(?<![/.])$")]
    private static partial Regex BranchName();

    [GeneratedRegex("uuid=\"[0-9a-f-]{36}\"")]
    private static partial Regex UuidAttribute();

    [GeneratedRegex(@"<param name=""teamcity:branchSpec"">.*?</param>", RegexOptions.Singleline)]
    private static partial Regex BranchSpec();
}
