using CiSteps.TeamCity.Settings;

namespace CiSteps.Fixtures;

/// <summary>A small settings tree on disk, written as a server would.</summary>
public sealed class ToyTree : IDisposable
{
    private const string Schema =
        "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" " +
        "xsi:noNamespaceSchemaLocation=\"https://www.jetbrains.com/teamcity/schemas/2025.3/project-config.xsd\"";

    public ToyTree()
    {
        Folder = Directory.CreateTempSubdirectory("cisteps-settings-").FullName;
        Project("Toy");
    }

    public string Folder { get; }

    /// <summary>Reads it; structural errors throw.</summary>
    public SettingsTree Load() => SettingsTree.Load(Folder);

    public ToyTree Project(string id, string? parent = null, string inner = "") => Write($"{id}/project-config.xml",
        $"<project {Schema} uuid=\"{Uuid(id)}\"{(parent is null ? "" : $" parent-id=\"{parent}\"")}>\n  " +
        $"<name>{id}</name>\n{inner}\n</project>");

    public ToyTree Root(string url, string id = "Toy_Root", string spec = "+:refs/heads/(main)\n+:refs/heads/(ci/*)") =>
        Write($"Toy/vcsRoots/{id}.xml",
            $"<vcs-root {Schema} uuid=\"{Uuid(id)}\" type=\"jetbrains.git\">\n  <name>{id}</name>\n  <param name=\"branch\" " +
            "value=\"refs/heads/main\" />\n" +
            $"  <param name=\"teamcity:branchSpec\"><![CDATA[{spec}]]></param>\n  <param name=\"url\" value=\"{url}\" " +
            "/>\n</vcs-root>");

    /// <summary>A build configuration; <paramref name="settings"/> is what stands in its settings element.</summary>
    public ToyTree Build(string id, string settings, string? template = null, string project = "Toy", string attributes = "") =>
        Write($"{project}/buildTypes/{id}.xml",
            $"<build-type {Schema} uuid=\"{Uuid(id)}\"{attributes}>\n  <name>{id[(id.IndexOf('_') + 1)..]}</name>\n  " +
            $"<description />\n  <settings{(template is null ? "" : $" ref=\"{template}\"")}>\n{settings}\n  " +
            "</settings>\n</build-type>");

    public ToyTree Template(string id, string settings, string project = "Toy") => Write($"{project}/buildTypes/{id}.xml",
        $"<template {Schema} uuid=\"{Uuid(id)}\">\n  <name>{id}</name>\n  <settings>\n{settings}\n  </settings>\n</template>");

    public ToyTree Recipe(string id, string settings, string project = "Toy") =>
        Write($"{project}/pluginData/metaRunners/{id}.xml",
            $"<meta-runner name=\"{id}\">\n  <description>toy</description>\n  <settings>\n{settings}\n    <requirements />\n  " +
            "</settings>\n</meta-runner>");

    public ToyTree Write(string path, string text)
    {
        var full = Path.Combine(Folder, ".teamcity", path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + text + "\n\n");
        return this;
    }

    /// <summary>A step that runs a shell script.</summary>
    public static string Script(string script, string id = "RUNNER_1", string mode = "default", string conditions = "") =>
        $"      <runner id=\"{id}\" name=\"{id}\" type=\"simpleRunner\">\n{conditions}        <parameters>\n          <param " +
        $"name=\"script.content\"><![CDATA[{script}]]></param>\n" +
        $"          <param name=\"teamcity.step.mode\" value=\"{mode}\" />\n          <param name=\"use.custom.script\" " +
        "value=\"true\" />\n        </parameters>\n      </runner>\n";

    public static string Runners(params string[] runners) =>
        $"    <build-runners>\n{string.Concat(runners)}    </build-runners>\n";

    public static string Vcs { get; } = "    <vcs-settings>\n      <vcs-entry-ref root-id=\"Toy_Root\" />\n    </vcs-settings>\n";

    public static string After(string source, string? failed = null, string? notStarted = null) =>
        $"      <depend-on sourceBuildTypeId=\"{source}\">\n        <options>\n" +
        (failed is null ? "" : $"          <option name=\"run-build-if-dependency-failed\" value=\"{failed}\" />\n") +
        (notStarted is null
            ? ""
            : $"          <option name=\"run-build-if-dependency-failed-to-start\" value=\"{notStarted}\" />\n") +
            "        </options>\n      </depend-on>\n";

    public static string Dependencies(params string[] all) => $"    <dependencies>\n{string.Concat(all)}    </dependencies>\n";

    public static string Trigger(string filter = "+:ci/*") =>
        "    <build-triggers>\n      <build-trigger id=\"vcsTrigger\" type=\"vcsTrigger\">\n        <parameters>\n          " +
        $"<param name=\"branchFilter\"><![CDATA[{filter}]]></param>\n        </parameters>\n      </build-trigger>\n    " +
        "</build-triggers>\n";

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static string Uuid(string id) =>
        new Guid(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(id)).AsSpan(0, 16)).ToString();
}
