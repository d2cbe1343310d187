using System.Xml.Linq;
using CiSteps.RunChain.Settings;

namespace CiSteps.RunChain.Checking;

/// <summary>The form of one file: names, attributes, order of elements. All of it as servers write it.</summary>
internal static class StructureRules
{
    private static readonly string[] ProjectOrder = ["name", "description", "default-template", "parameters", "project-extensions", "cleanup", "buildTypesOrder", "subprojectsOrder"];
    private static readonly string[] BuildOrder = ["name", "description", "settings"];
    private static readonly string[] RecipeOrder = ["description", "settings"];
    private static readonly string[] RecipeSettingsOrder = ["parameters", "build-runners", "requirements"];

    private static readonly string[] SettingsOrder =
    [
        "options", "disabled-settings", "parameters", "build-runners", "vcs-settings", "requirements", "build-triggers", "build-extensions", "artifact-dependencies", "dependencies", "cleanup",
    ];

    /// <summary>Checks a file that was read.</summary>
    public static void Check(SettingsTree tree, string id, XmlSource source)
    {
        var root = source.Root;
        var at = source.Place(root);
        if (!IsId(id)) tree.Report(at, "id-form", Severity.Error, $"\"{id}\" is no id: letters, digits and underscores, a letter first, at most 80");
        if (root.Name.LocalName is "project" or "build-type" or "template" or "vcs-root")
        {
            if ((string?)root.Attribute("uuid") is { } uuid)
            {
                if (!Guid.TryParseExact(uuid, "D", out _)) tree.Report(at, "uuid", Severity.Error, $"\"{uuid}\" is no uuid");
            }
            else tree.Report(at, "uuid", Severity.Warning, $"\"{id}\" has no uuid: its history is lost when its id changes");
        }
        var (order, settingsOrder) = root.Name.LocalName switch
        {
            "project" => (ProjectOrder, null),
            "build-type" or "template" => (BuildOrder, SettingsOrder),
            "meta-runner" => (RecipeOrder, RecipeSettingsOrder),
            _ => (null, null),
        };
        if (order is null) return;
        Ordered(tree, source, root, order);
        if (settingsOrder is null) return;
        if (root.Element("settings") is not { } settings)
        {
            tree.Report(at, "element", Severity.Error, $"\"{id}\" has no settings element");
            return;
        }
        Ordered(tree, source, settings, settingsOrder);
        foreach (var condition in settings.Elements("requirements").Elements().Concat(settings.Elements("build-runners").Elements("runner").Elements("conditions").Elements()))
        {
            if (!XmlSource.IsConditionKind(condition.Name.LocalName))
                tree.Report(source.Place(condition), "condition", Severity.Error, $"\"{condition.Name.LocalName}\" is no kind of condition");
            else if (condition.Name.LocalName is not ("exists" or "not-exists" or "any") && condition.Attribute("value") is null)
                tree.Report(source.Place(condition), "condition", Severity.Warning, $"the condition on \"{(string?)condition.Attribute("name")}\" has no value");
        }
        foreach (var name in new[] { "build-runners/runner", "build-triggers/build-trigger", "build-extensions/extension", "artifact-dependencies/dependency", "requirements/*" }) UniqueIds(tree, source, settings, name);
    }

    /// <summary>Whether the text can be an external id.</summary>
    public static bool IsId(string id) => id is "_Root" || (id.Length is > 0 and <= 80 && char.IsAsciiLetter(id[0]) && id.All(unit => char.IsAsciiLetterOrDigit(unit) || unit == '_'));

    private static void Ordered(SettingsTree tree, XmlSource source, XElement parent, string[] order)
    {
        var last = -1;
        foreach (var element in parent.Elements())
        {
            var at = Array.IndexOf(order, element.Name.LocalName);
            if (at < 0) tree.Report(source.Place(element), "element", Severity.Warning, $"\"{element.Name.LocalName}\" is not known within \"{parent.Name.LocalName}\"");
            else if (at < last) tree.Report(source.Place(element), "element-order", Severity.Warning, $"\"{element.Name.LocalName}\" stands after \"{order[last]}\"; a server writes it before");
            else last = at;
        }
    }

    private static void UniqueIds(SettingsTree tree, XmlSource source, XElement settings, string path)
    {
        var parts = path.Split('/');
        var elements = parts[1] == "*" ? settings.Elements(parts[0]).Elements() : settings.Elements(parts[0]).Elements(parts[1]);
        foreach (var doubled in elements.Where(element => element.Attribute("id") is not null).GroupBy(element => (string)element.Attribute("id")!).Where(group => group.Count() > 1))
            tree.Report(source.Place(doubled.Last()), "duplicate-id", Severity.Error, $"the id \"{doubled.Key}\" is used twice in {parts[0]}");
    }
}
