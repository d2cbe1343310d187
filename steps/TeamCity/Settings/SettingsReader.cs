using System.Xml;
using System.Xml.Linq;
using CiSteps.Hosting;
using CiSteps.TeamCity.Checking;

namespace CiSteps.TeamCity.Settings;

/// <summary>
/// Reads the XML files of a settings tree, schema 9.0 to 2025.3. What it does not know it leaves alone; what it cannot read
/// becomes a finding.
/// </summary>
public static class SettingsReader
{
    /// <summary>Reads the tree in a folder: the <c>.teamcity</c> folder itself, or one that holds it.</summary>
    /// <exception cref="UsageException">There is no such folder, or no project in it.</exception>
    public static SettingsTree Read(string folder)
    {
        var root = Path.GetFullPath(folder);
        if (!Directory.Exists(root))
            throw new UsageException(
                $"the settings folder \"{folder}\" {(File.Exists(root) ? "is a file" : "does not exist")}; " +
                "give the folder with .teamcity in it");
        if (Directory.Exists(Path.Combine(root, ".teamcity"))) root = Path.Combine(root, ".teamcity");
        var tree = new SettingsTree(root);
        if (File.Exists(Path.Combine(root, "project-config.xml")))
            tree.Report(new SourceLocation("project-config.xml", 1), "project-file", Severity.Error,
                "project-config.xml stands directly in .teamcity; a server writes .teamcity/<project id>/project-config.xml");
        foreach (var projectFolder in Projects(root, folder))
        {
            try
            {
                ReadProject(tree, projectFolder);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                tree.Report(
                    new SourceLocation(Relative(tree, projectFolder), 1),
                    "project-file",
                    Severity.Error,
                    $"cannot be read: {error.Message}");
            }
        }
        if (tree.Projects.Count == 0
            && (File.Exists(Path.Combine(root, "settings.kts")) || File.Exists(Path.Combine(root, "pom.xml"))))
            throw new UsageException(
                $"the TeamCity settings in \"{folder}\" are written in Kotlin (settings.kts), and ci-steps reads XML; " +
                "generate it (mvn teamcity-configs:generate in .teamcity) and give the folder with what came out");
        if (tree.Projects.Count == 0 && tree.Findings.Count == 0)
            throw new UsageException(
                $"there are no TeamCity settings in \"{folder}\": expected .teamcity/<project id>/project-config.xml");
        return tree;
    }

    private static IEnumerable<string> Projects(string root, string given)
    {
        try
        {
            return Directory.GetDirectories(root).Order(StringComparer.Ordinal);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"the settings folder \"{given}\" cannot be read: {error.Message}", error);
        }
    }

    private static void ReadProject(SettingsTree tree, string folder)
    {
        var id = Path.GetFileName(folder);
        var config = Path.Combine(folder, "project-config.xml");
        // Looked up in a listing: where that is refused, a question for one file would say that it is not there.
        if (!Directory.EnumerateFileSystemEntries(folder, "project-config.xml").Any())
        {
            // The Kotlin format keeps other folders here; a folder with build types and no project is broken.
            if (Directory.Exists(Path.Combine(folder, "buildTypes")))
                tree.Report(new SourceLocation(Relative(tree, config), 1), "project-file", Severity.Warning,
                    $"the project \"{id}\" has no project-config.xml");
            return;
        }
        if (Open(tree, config, "project") is { } opened)
        {
            StructureRules.Check(tree, id, opened);
            tree.Add(ReadProjectFile(id, opened));
        }
        foreach (var file in Files(folder, "buildTypes"))
            if (Open(tree, file, "build-type", "template") is { } build)
                ReadOnce(tree, tree.Builds, Stem(file), build, () => tree.Add(ReadBuild(Stem(file), id, build)));
        foreach (var file in Files(folder, "vcsRoots"))
            if (Open(tree, file, "vcs-root") is { } vcs)
                ReadOnce(tree, tree.VcsRoots, Stem(file), vcs, () => tree.Add(ReadVcsRoot(Stem(file), id, vcs)));
        foreach (var file in Files(folder, Path.Combine("pluginData", "metaRunners")))
            if (Open(tree, file, "meta-runner", "build-type") is { } meta) AddRecipe(tree, Stem(file), id, meta);
    }

    private static void ReadOnce<T>(
        SettingsTree tree, IReadOnlyDictionary<string, T> known, string id, XmlSource source, Action read)
    {
        if (known.ContainsKey(id))
            tree.Report(source.Place(source.Root), "duplicate-id", Severity.Error,
                $"the id \"{id}\" is used twice; ids are unique on the whole server");
        else
        {
            StructureRules.Check(tree, id, source);
            read();
        }
    }

    // Copies of one recipe in several projects are common; each serves its project.
    private static void AddRecipe(SettingsTree tree, string id, string projectId, XmlSource source)
    {
        StructureRules.Check(tree, id, source, isRecipe: true);
        if (tree.Recipes.ContainsKey(id))
            tree.Report(source.Place(source.Root), "duplicate-id", Severity.Warning,
                $"the recipe \"{id}\" stands in several projects");
        tree.Add(ReadRecipe(id, projectId, source));
    }

    private static IEnumerable<string> Files(string folder, string below) => Directory.Exists(Path.Combine(folder, below))
        ? Directory.GetFiles(Path.Combine(folder, below), "*.xml").Order(StringComparer.Ordinal) : [];

    private static string Stem(string file) => Path.GetFileNameWithoutExtension(file);

    private static string Relative(SettingsTree tree, string file) => Path.GetRelativePath(tree.Folder, file).Replace('\\', '/');

    private static XmlSource? Open(SettingsTree tree, string file, params ReadOnlySpan<string> roots)
    {
        var name = Relative(tree, file);
        try
        {
            using var stream = File.OpenRead(file);
            using var reader = XmlReader.Create(
                stream, new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null });
            var document = XDocument.Load(reader, LoadOptions.SetLineInfo | LoadOptions.PreserveWhitespace);
            var source = new XmlSource(name, document.Root!);
            if (roots.Contains(document.Root!.Name.LocalName)) return source;
            tree.Report(source.Place(document.Root), "root-element", Severity.Error,
                $"the root element is \"{document.Root.Name.LocalName}\"; expected {string.Join(" or ", roots.ToArray())}");
        }
        catch (XmlException error)
        {
            tree.Report(
                new SourceLocation(name, Math.Max(1, error.LineNumber)),
                "xml",
                Severity.Error,
                $"not well-formed XML: {error.Message}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            tree.Report(new SourceLocation(name, 1), "xml", Severity.Error, $"cannot be read: {error.Message}");
        }
        return null;
    }

    private static Project ReadProjectFile(string id, XmlSource source)
    {
        var root = source.Root;
        return new Project(
            id,
            (string?)root.Element("name") ?? id,
            XmlSource.Attribute(root, "parent-id"),
            XmlSource.Attribute(root, "uuid"),
            XmlSource.Attribute(root, "archived") == "true",
            (string?)root.Element("default-template")?.Attribute("ref"),
            source.Parameters(root.Element("parameters")),
            [.. XmlSource.Below(root, "project-extensions", "extension").Select(source.Extension)],
            Words((string?)root.Element("buildTypesOrder")?.Attribute("order")),
            Words((string?)root.Element("subprojectsOrder")?.Attribute("order")),
            source.Place(root));
    }

    private static VcsRoot ReadVcsRoot(string id, string projectId, XmlSource source) =>
        new(
            id,
            projectId,
            (string?)source.Root.Element("name") ?? id,
            XmlSource.Attribute(source.Root, "type") ?? "",
            XmlSource.Attribute(source.Root, "uuid"),
            source.Parameters(source.Root),
            source.Place(source.Root));

    private static Recipe ReadRecipe(string id, string projectId, XmlSource source)
    {
        var settings = source.Root.Element("settings");
        return new Recipe(
            id,
            projectId,
            XmlSource.Attribute(source.Root, "name") ?? id,
            source.Parameters(settings?.Element("parameters")),
            [.. XmlSource.Below(settings, "build-runners", "runner").Select(source.Runner)],
            source.Place(source.Root));
    }

    private static BuildConfiguration ReadBuild(string id, string projectId, XmlSource source)
    {
        var root = source.Root;
        var settings = root.Element("settings");
        return new BuildConfiguration(id, projectId, (string?)root.Element("name") ?? id, root.Name.LocalName == "template",
            XmlSource.Attribute(root, "paused") == "true",
            XmlSource.Attribute(root, "uuid"),
            Words((string?)settings?.Attribute("ref")),
            source.Options(settings?.Element("options")),
            [.. XmlSource
                .Below(settings, "disabled-settings", "setting-ref")
                .Select(element => new Option((string?)element.Attribute("ref") ?? "", "", source.Place(element)))],
            source.Parameters(settings?.Element("parameters")),
            [.. XmlSource.Below(settings, "build-runners", "runner").Select(source.Runner)],
            Words((string?)settings?.Element("build-runners")?.Attribute("order")),
            [.. XmlSource
                .Below(settings, "vcs-settings", "vcs-entry-ref")
                .Select(element => new VcsEntry((string?)element.Attribute("root-id") ?? "",
                [.. element.Elements("checkout-rule").Select(rule => (string?)rule.Attribute("rule") ?? "")],
                source.Place(element)))],
            source.Conditions(settings?.Element("requirements")),
            [.. XmlSource.Below(settings, "build-triggers", "build-trigger").Select(source.Trigger)],
            [.. XmlSource.Below(settings, "build-extensions", "extension").Select(source.Extension)],
            [.. XmlSource.Below(settings, "artifact-dependencies", "dependency").Select(source.ArtifactDependency)],
            [.. XmlSource.Below(settings, "dependencies", "depend-on").Select(element =>
                new SnapshotDependency(
                    (string?)element.Attribute("sourceBuildTypeId") ?? "",
                    source.Options(element.Element("options")),
                    source.Place(element)))],
            source.Place(root));
    }

    private static string[] Words(string? list) =>
        list?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];
}
