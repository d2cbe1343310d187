using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>What names, labels and keys may look like.</summary>
internal static partial class Names
{
    private const string SubdomainText =
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', " +
        "and must start and end with an alphanumeric character (e.g. 'example.com', " +
        "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    private const string LabelText =
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', " +
        "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', " +
        "regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    private const string OldLabelText =
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, " +
        "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', " +
        "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    private const string ValueText =
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', " +
        "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', " +
        "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    private const string KeyText =
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric " +
        "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is " +
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

    private static readonly HashSet<string> PathSegmentKinds =
    [
        Kinds.Roles.StorageKey, Kinds.RoleBindings.StorageKey, Kinds.ClusterRoles.StorageKey,
        Kinds.ClusterRoleBindings.StorageKey, Kinds.Events.StorageKey,
    ];

    public static void CheckMetadata(ResourceType type, JsonObject metadata, FieldErrors errors)
    {
        if (metadata.Str("name") is not { Length: > 0 } name)
        {
            errors.Required("metadata.name", "name or generateName is required");
            return;
        }
        if (PathSegmentKinds.Contains(type.StorageKey))
        {
            if (name is "." or ".." || name.Contains('/') || name.Contains('%'))
                errors.Invalid("metadata.name", name, "may not contain '/' or '%' and may not be '.' or '..'");
        }
        else if (type == Kinds.Namespaces)
            CheckLabel("metadata.name", name, errors);
        else if (type == Kinds.Services)
        {
            if (name.Length > 63)
                errors.Invalid("metadata.name", name, "must be no more than 63 characters");
            else if (!OldLabel().IsMatch(name))
                errors.Invalid("metadata.name", name, OldLabelText);
        }
        else
            CheckSubdomain("metadata.name", name, errors);
        CheckLabels("metadata.labels", metadata.Obj("labels"), errors);
        long size = 0;
        foreach (var (key, value) in metadata.Obj("annotations") ?? [])
        {
            CheckKey("metadata.annotations", key.ToLowerInvariant(), errors);
            size += key.Length + (value.Str()?.Length ?? 0);
        }
        if (size > 256 << 10)
            errors.TooLong("metadata.annotations", "may not be more than 262144 bytes");
        var index = 0;
        foreach (var owner in metadata.Objs("ownerReferences"))
        {
            foreach (var field in new[] { "apiVersion", "kind", "name", "uid" })
            {
                if (owner.Str(field) is not { Length: > 0 })
                    errors.Invalid($"metadata.ownerReferences[{index}].{field}", "",
                        $"{(field == "apiVersion" ? "version" : field)} must not be empty");
            }
            index++;
        }
        if (metadata.Objs("ownerReferences").Count(o => o.Flag("controller")) > 1)
            errors.Invalid("metadata.ownerReferences", metadata["ownerReferences"],
                "Only one reference can have Controller set to true");
        index = 0;
        foreach (var finalizer in metadata.Strs("finalizers"))
        {
            CheckKey("metadata.finalizers", finalizer, errors);
            if (!type.IsCustom
                && !finalizer.Contains('/')
                && finalizer is not ("kubernetes" or "orphan" or Deletion.ForegroundFinalizer
                    or "customresourcecleanup.apiextensions.k8s.io"))
                errors.Invalid($"metadata.finalizers[{index}]", finalizer,
                    "name is neither a standard finalizer name nor is it fully qualified");
            index++;
        }
    }

    public static void CheckLabels(string field, JsonObject? labels, FieldErrors errors)
    {
        foreach (var (key, value) in labels ?? [])
        {
            CheckKey(field, key, errors);
            var text = value.Str() ?? "";
            if (text.Length > 63)
                errors.Invalid(field, text, "must be no more than 63 characters");
            else if (!LabelValue().IsMatch(text))
                errors.Invalid(field, text, ValueText);
        }
    }

    public static void CheckKey(string field, string key, FieldErrors errors)
    {
        var slash = key.IndexOf('/', StringComparison.Ordinal);
        var name = slash < 0 ? key : key[(slash + 1)..];
        if (slash == 0 || (slash > 0 && !Subdomain().IsMatch(key[..slash])))
            errors.Invalid(field, key, "prefix part " + SubdomainText);
        if (name.Length is 0)
            errors.Invalid(field, key, "name part must be non-empty");
        else if (name.Length > 63)
            errors.Invalid(field, key, "name part must be no more than 63 characters");
        else if (!KeyName().IsMatch(name))
            errors.Invalid(field, key, KeyText);
    }

    public static void CheckLabel(string field, string name, FieldErrors errors)
    {
        if (name.Length > 63)
            errors.Invalid(field, name, "must be no more than 63 characters");
        else if (!Label().IsMatch(name))
            errors.Invalid(field, name, LabelText);
    }

    public static void CheckSubdomain(string field, string name, FieldErrors errors)
    {
        if (name.Length > 253)
            errors.Invalid(field, name, "must be no more than 253 characters");
        else if (!Subdomain().IsMatch(name))
            errors.Invalid(field, name, SubdomainText);
    }

    public static bool IsDataKey(string key) =>
        key.Length is > 0 and <= 253 && DataKey().IsMatch(key) && key is not ("." or "..");

    [GeneratedRegex(@"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\z")]
    private static partial Regex Subdomain();

    [GeneratedRegex(@"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\z")]
    private static partial Regex Label();

    [GeneratedRegex(@"^[a-z]([-a-z0-9]*[a-z0-9])?\z")]
    private static partial Regex OldLabel();

    [GeneratedRegex(@"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\z")]
    private static partial Regex LabelValue();

    [GeneratedRegex(@"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\z")]
    private static partial Regex KeyName();

    [GeneratedRegex(@"^[-._a-zA-Z0-9]+\z")]
    private static partial Regex DataKey();
}
