using System.Xml.Linq;
using CiSteps.TeamCity.Settings;

namespace CiSteps.TeamCity.Checking;

/// <summary>The form of one file: names, attributes, order of elements. All of it as servers write it.</summary>
internal static class StructureRules
{
    private static readonly XNamespace Instance = "http://www.w3.org/2001/XMLSchema-instance";
    private static readonly string[] Labels = ["9.0", "10.0", "2017.2", "2018.1", "2020.1", "2021.1", "2025.3"];

    /// <summary>Checks a file that was read. A recipe may be a whole build configuration, without the identity of one.</summary>
    public static void Check(SettingsTree tree, string id, XmlSource source, bool isRecipe = false)
    {
        var root = source.Root;
        var at = source.Place(root);
        if (!IsId(id))
            tree.Report(at, "id-form", Severity.Error, $"\"{id}\" is not an id: letters, digits and underscores, a letter first");
        // Servers make longer ones for VCS roots themselves.
        else if (id.Length > 80 && root.Name.LocalName != "vcs-root")
            tree.Report(at, "id-form", Severity.Error, $"\"{id}\" is longer than the 80 characters that an id may have");
        if (root.Name.LocalName is "project" or "build-type" or "template" or "vcs-root" && !isRecipe)
        {
            // Settings that the Kotlin DSL generated have an empty one.
            if ((string?)root.Attribute("uuid") is { Length: > 0 } uuid)
            {
                if (!Guid.TryParseExact(uuid, "D", out _)) tree.Report(at, "uuid", Severity.Error, $"\"{uuid}\" is not a uuid");
            }
            else tree.Report(at, "uuid", Severity.Warning, $"\"{id}\" has no uuid: its history is lost when its id changes");
            Schema(tree, root, at);
        }
        Walk(tree, source, root, null);
        if (root.Element("settings") is not { } settings) return;
        foreach (var condition in settings.Elements("requirements")
            .Elements()
            .Concat(settings.Elements("build-runners").Elements("runner").Elements("conditions").Elements()))
        {
            if (!XmlSource.IsConditionKind(condition.Name.LocalName))
                tree.Report(source.Place(condition), "condition", Severity.Error,
                    $"\"{condition.Name.LocalName}\" is not a kind of condition");
            else if (condition.Name.LocalName is not ("exists" or "not-exists" or "any") && condition.Attribute("value") is null)
                tree.Report(source.Place(condition), "condition", Severity.Warning,
                    $"the condition on \"{(string?)condition.Attribute("name")}\" has no value");
        }
        foreach (var name in new[]
        {
            "build-runners/runner",
            "build-triggers/build-trigger",
            "build-extensions/extension",
            "artifact-dependencies/dependency",
            "requirements/*"
        })
            UniqueIds(tree, source, settings, name);
    }

    /// <summary>Whether the text has the form of an external id.</summary>
    public static bool IsId(string id) =>
        id is "_Root"
            || (id.Length > 0 && char.IsAsciiLetter(id[0]) && id.All(unit => char.IsAsciiLetterOrDigit(unit) || unit == '_'));

    private static void Schema(SettingsTree tree, XElement root, SourceLocation at)
    {
        const string before = "www.jetbrains.com/teamcity/schemas/";
        var location = (string?)root.Attribute(Instance + "noNamespaceSchemaLocation") ?? "";
        var from = location.IndexOf(before, StringComparison.Ordinal);
        var label = from >= 0 && location.EndsWith("/project-config.xsd", StringComparison.Ordinal)
            ? location[(from + before.Length)..^"/project-config.xsd".Length]
            : "";
        if (!Labels.Contains(label))
            tree.Report(
                at,
                "schema",
                Severity.Warning,
                location.Length == 0
                    ? "the file does not say which schema it follows (xsi:noNamespaceSchemaLocation)"
                    : $"\"{location}\" is not a schema label that a server is known to write; " +
                        $"known are {string.Join(", ", Labels)}");
    }

    private static void Walk(SettingsTree tree, XmlSource source, XElement element, string? parent)
    {
        if (Vocabulary.Find(parent, element.Name.LocalName) is not { } known) return;
        foreach (var attribute in element
            .Attributes()
            .Where(
                attribute => attribute is { IsNamespaceDeclaration: false, Name.NamespaceName: "" }
                    && !Lists(known.Attributes, attribute.Name.LocalName)))
            tree.Report(source.Place(element), "attribute", Severity.Warning,
                $"\"{attribute.Name.LocalName}\" is not known as an attribute of \"{element.Name.LocalName}\"");
        foreach (var needed in Needed(known.Attributes).Where(
            needed => element.Attribute(needed) is null
                && !(element.Name.LocalName == "option" && needed == "value" && element.Value.Length > 0)))
            tree.Report(source.Place(element), "attribute", Severity.Error,
                $"\"{element.Name.LocalName}\" has no attribute \"{needed}\"");
        foreach (var needed in Needed(known.Children).Where(needed => element.Element(needed) is null))
            tree.Report(source.Place(element), "element", Severity.Error,
                $"\"{element.Name.LocalName}\" has no element \"{needed}\"");
        if (element.Name.LocalName == "param" && ((string?)element.Attribute("value"))?.AsSpan().IndexOfAny('\n', '\r') >= 0)
            tree.Report(source.Place(element), "multi-line", Severity.Warning,
                $"the value of \"{(string?)element.Attribute("name")}\" has several lines; " +
                "a server writes it as CDATA within the element");
        var last = -1;
        foreach (var child in element.Elements())
        {
            var place = Array.FindIndex(known.Children, name => name.TrimEnd('!') == child.Name.LocalName);
            if (place < 0)
                tree.Report(source.Place(child), "element", Severity.Warning,
                    $"\"{child.Name.LocalName}\" is not known within \"{element.Name.LocalName}\"");
            else if (place < last)
                tree.Report(source.Place(child), "element-order", Severity.Warning,
                    $"\"{child.Name.LocalName}\" stands after \"{known.Children[last].TrimEnd('!')}\"; " +
                    "a server writes it before");
            else last = place;
            Walk(tree, source, child, element.Name.LocalName);
        }
    }

    private static bool Lists(string[] names, string name) => names.Any(known => known.AsSpan().TrimEnd('!').SequenceEqual(name));

    private static IEnumerable<string> Needed(string[] names) =>
        names.Where(name => name.EndsWith('!')).Select(name => name[..^1]);

    private static void UniqueIds(SettingsTree tree, XmlSource source, XElement settings, string path)
    {
        var parts = path.Split('/');
        var elements = parts[1] == "*" ? settings.Elements(parts[0]).Elements() : settings.Elements(parts[0]).Elements(parts[1]);
        foreach (var doubled in elements.Where(element => element.Attribute("id") is not null)
            .GroupBy(element => (string)element.Attribute("id")!)
            .Where(group => group.Count() > 1))
            tree.Report(source.Place(doubled.Last()), "duplicate-id", Severity.Error,
                $"the id \"{doubled.Key}\" is used twice in {parts[0]}");
    }
}
