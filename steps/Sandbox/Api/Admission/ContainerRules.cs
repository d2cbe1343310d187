using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Checks of one container.</summary>
internal static class ContainerRules
{
    private static readonly string[] PodFields = [
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP",
        "status.hostIPs", "status.podIP", "status.podIPs"
    ];
    private static readonly string[] Handlers = ["exec", "httpGet", "tcpSocket", "grpc"];

    public static void Check(
        string path, JsonObject container, HashSet<string> names, HashSet<string> volumes, FieldErrors errors)
    {
        var name = container.Str("name") ?? "";
        if (name.Length == 0)
            errors.Required($"{path}.name");
        else
            Names.CheckLabel($"{path}.name", name, errors);
        if (name.Length > 0 && !names.Add(name))
            errors.Duplicate($"{path}.name", name);
        var image = container.Str("image") ?? "";
        if (image.Length == 0)
            errors.Required($"{path}.image");
        else if (image.Trim() != image)
            errors.Invalid($"{path}.image", image, "must not have leading or trailing whitespace");
        if (container.Str("imagePullPolicy") is not ("Always" or "IfNotPresent" or "Never"))
            errors.Unsupported($"{path}.imagePullPolicy", container["imagePullPolicy"], "Always", "IfNotPresent", "Never");
        Ports(path, container, errors);
        var index = 0;
        foreach (var env in container.Objs("env"))
        {
            if (env.Str("name") is not { Length: > 0 } variable)
                errors.Required($"{path}.env[{index}].name");
            else if (variable.Contains('=') || variable.Any(c => c is < ' ' or > '~'))
                errors.Invalid($"{path}.env[{index}].name", variable,
                    "a valid environment variable name must consist only of printable ASCII characters other than '='");
            if (env.Str("value") is { Length: > 0 } && env.Obj("valueFrom") is not null)
                errors.Invalid($"{path}.env[{index}].valueFrom", "", "may not be specified when `value` is not empty");
            if (env.Obj("valueFrom") is { } from && from.Count != 1)
                errors.Invalid(
                    $"{path}.env[{index}].valueFrom",
                    "",
                    from.Count == 0
                        ? "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
                        : "may not have more than one field specified at a time");
            if (env.Str("valueFrom", "fieldRef", "fieldPath") is { } of && !PodFields.Contains(of) && !IsMetadataEntry(of))
                errors.Invalid($"{path}.env[{index}].valueFrom.fieldRef.fieldPath", of,
                    $"error converting fieldPath: field label not supported: {of}");
            index++;
        }
        index = 0;
        var paths = new HashSet<string>(StringComparer.Ordinal);
        foreach (var mount in container.Objs("volumeMounts"))
        {
            if (mount.Str("name") is not { Length: > 0 } volume)
                errors.Required($"{path}.volumeMounts[{index}].name");
            else if (!volumes.Contains(volume))
                errors.NotFound($"{path}.volumeMounts[{index}].name", volume);
            if (mount.Str("mountPath") is not { Length: > 0 } mountPath)
                errors.Required($"{path}.volumeMounts[{index}].mountPath");
            else if (!paths.Add(mountPath))
                errors.Invalid($"{path}.volumeMounts[{index}].mountPath", mountPath, "must be unique");
            // Kubernetes names these two without the index.
            SubPath($"{path}.volumeMounts.subPath", mount.Str("subPath"), errors);
            SubPath($"{path}.volumeMounts.subPathExpr", mount.Str("subPathExpr"), errors);
            if (mount.Str("subPath") is { Length: > 0 } && mount.Str("subPathExpr") is { Length: > 0 } both)
                errors.Invalid($"{path}.volumeMounts[{index}].subPathExpr", both,
                    "subPathExpr and subPath are mutually exclusive");
            index++;
        }
        Resources($"{path}.resources", container.Obj("resources"), errors);
        foreach (var probe in new[] { "livenessProbe", "readinessProbe", "startupProbe" })
        {
            if (container.Obj(probe) is { } p)
                Probe($"{path}.{probe}", probe, p, errors);
        }
    }

    public static void Resources(string path, JsonObject? resources, FieldErrors errors)
    {
        foreach (var kind in new[] { "limits", "requests" })
        {
            foreach (var (name, amount) in resources.Obj(kind) ?? [])
            {
                if (Amount.Of(amount) is not { } value)
                    errors.Invalid($"{path}.{kind}[{name}]", amount,
                        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
                else if (value < 0)
                    errors.Invalid($"{path}.{kind}[{name}]", amount, "must be greater than or equal to 0");
                else if (kind == "requests" && Amount.Of(resources.At("limits", name)) is { } limit && value > limit)
                    errors.Invalid($"{path}.requests", amount,
                        $"must be less than or equal to {name} limit of {resources.At("limits", name).Str()
                            ?? limit.ToString(System.Globalization.CultureInfo.InvariantCulture)}");
            }
        }
    }

    private static void SubPath(string field, string? path, FieldErrors errors)
    {
        if (path is null)
            return;
        if (path.StartsWith('/'))
            errors.Invalid(field, path, "must be a relative path");
        if (path.Split('/').Contains(".."))
            errors.Invalid(field, path, "must not contain '..'");
    }

    private static void Ports(string path, JsonObject container, FieldErrors errors)
    {
        var index = 0;
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var port in container.Objs("ports"))
        {
            var field = $"{path}.ports[{index++}]";
            if (port.Num("containerPort") is not { } number || number == 0)
                errors.Required($"{field}.containerPort");
            else if (number is < 1 or > 65535)
                errors.Invalid($"{field}.containerPort", number, "must be between 1 and 65535, inclusive");
            if (port.Str("protocol") is not ("TCP" or "UDP" or "SCTP"))
                errors.Unsupported($"{field}.protocol", port["protocol"], "SCTP", "TCP", "UDP");
            if (port.Str("name") is { Length: > 0 } name)
            {
                if (name.Length > 15)
                    errors.Invalid($"{field}.name", name, "must be no more than 15 characters");
                if (name.Any(c => !char.IsAsciiLetterLower(c) && !char.IsAsciiDigit(c) && c != '-'))
                    errors.Invalid($"{field}.name", name,
                        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
                if (!name.Any(char.IsAsciiLetterLower))
                    errors.Invalid($"{field}.name", name, "must contain at least one letter (a-z)");
                if (!names.Add(name))
                    errors.Duplicate($"{field}.name", name);
            }
        }
    }

    private static bool IsMetadataEntry(string field) =>
        field.EndsWith("']", StringComparison.Ordinal)
            && (field.StartsWith("metadata.labels['", StringComparison.Ordinal)
                || field.StartsWith("metadata.annotations['", StringComparison.Ordinal));

    private static void Probe(string path, string kind, JsonObject probe, FieldErrors errors)
    {
        var handlers = Handlers.Count(h => probe.Obj(h) is not null);
        if (handlers == 0)
            errors.Required(path, "must specify a handler type");
        else if (handlers > 1)
            errors.Forbidden(path, "may not specify more than 1 handler type");
        foreach (var handler in new[] { "httpGet", "tcpSocket" })
        {
            if (probe.Obj(handler) is { } target
                && target.Str("port") is not { Length: > 0 }
                && (target.Num("port") ?? 0) is var port and (< 1 or > 65535))
                errors.Invalid($"{path}.{handler}.port", port, "must be between 1 and 65535, inclusive");
        }
        foreach (var field in new[]
        {
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold"
        })
        {
            if (probe.Num(field) is { } number and < 0)
                errors.Invalid($"{path}.{field}", number, "must be greater than or equal to 0");
        }
        if (kind != "readinessProbe" && probe.Num("successThreshold") is { } threshold and not 1)
            errors.Invalid($"{path}.successThreshold", threshold, "must be 1");
    }
}
