using System.Xml;
using System.Xml.Linq;

namespace CiSteps.TeamCity.Settings;

/// <summary>One settings file being read: turns elements into records that know their line.</summary>
internal sealed class XmlSource(string file, XElement root)
{
    private static readonly HashSet<string> ConditionKinds = new(StringComparer.Ordinal)
    {
        "equals", "does-not-equal", "contains", "does-not-contain", "starts-with", "ends-with", "matches", "does-not-match",
        "exists", "not-exists",
        "more-than", "no-more-than", "less-than", "no-less-than", "ver-more-than", "ver-no-more-than", "ver-less-than",
        "ver-no-less-than", "any",
    };

    public XElement Root { get; } = root;

    public static bool IsConditionKind(string name) => ConditionKinds.Contains(name);

    public SourceLocation Place(XObject at) => new(file, at is IXmlLineInfo line && line.HasLineInfo() ? line.LineNumber : 1);

    public static string? Attribute(XElement element, string name) => (string?)element.Attribute(name);

    public static IEnumerable<XElement> Below(XElement? parent, string group, string name) =>
        parent?.Element(group)?.Elements(name) ?? [];

    public ParameterSet Parameters(XElement? parent) =>
        parent is null ? ParameterSet.Empty : new(parent.Elements("param").Select(Parameter));

    public Parameter Parameter(XElement element) =>
        new(
            (string?)element.Attribute("name") ?? "",
            (string?)element.Attribute("value") ?? element.Value,
            (string?)element.Attribute("spec"),
            Place(element));

    public IReadOnlyList<Option> Options(XElement? parent) => parent is null ? []
        : [.. parent
            .Elements("option")
            .Select(
                element => new Option(
                    (string?)element.Attribute("name") ?? "",
                    (string?)element.Attribute("value") ?? element.Value,
                    Place(element)))];

    public IReadOnlyList<Condition> Conditions(XElement? parent) => parent is null ? []
        : [.. parent
            .Elements()
            .Select(
                element => new Condition(
                    element.Name.LocalName,
                    (string?)element.Attribute("name") ?? "",
                    (string?)element.Attribute("value"),
                    Place(element)))];

    public Runner Runner(XElement element) =>
        new((string?)element.Attribute("id") ?? "", (string?)element.Attribute("name") ?? "",
            (string?)element.Attribute("type") ?? "",
            Conditions(element.Element("conditions")),
            Parameters(element.Element("parameters")),
            Place(element));

    public Extension Extension(XElement element) =>
        new((string?)element.Attribute("id") ?? "", (string?)element.Attribute("type") ?? "",
            Parameters(element.Element("parameters")), Place(element));

    public Trigger Trigger(XElement element) =>
        new((string?)element.Attribute("id") ?? "", (string?)element.Attribute("type") ?? "",
            Parameters(element.Element("parameters")), Place(element));

    public ArtifactDependency ArtifactDependency(XElement element)
    {
        var rule = element.Element("revisionRule");
        return new(
            (string?)element.Attribute("id") ?? "",
            (string?)element.Attribute("sourceBuildTypeId") ?? "",
            (string?)rule?.Attribute("name") ?? "",
            (string?)rule?.Attribute("revision") ?? "",
            (string?)element.Attribute("cleanDestination") == "true",
            string.Join('\n', element.Elements("artifact").Select(artifact => (string?)artifact.Attribute("sourcePath") ?? "")),
            Place(element));
    }
}
