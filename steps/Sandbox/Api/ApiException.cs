using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api;

/// <summary>One cause in the details of a Status.</summary>
/// <param name="Reason">Such as <c>FieldValueRequired</c>.</param>
/// <param name="Message">What is wrong with the field.</param>
/// <param name="Field">Path of the field, such as <c>spec.replicas</c>; empty when it is none of a field.</param>
internal sealed record StatusCause(string Reason, string Message, string Field);

/// <summary>A refusal as the API states it: HTTP code, reason and message of a Status object.</summary>
internal sealed class ApiException : Exception
{
    /// <summary>Creates a refusal.</summary>
    public ApiException(int code, string reason, string message) : base(message)
    {
        Code = code;
        Reason = reason;
    }

    /// <summary>HTTP status code.</summary>
    public int Code { get; }

    /// <summary>Machine-readable reason, such as <c>NotFound</c>.</summary>
    public string Reason { get; }

    /// <summary>Name of the object, where one is concerned.</summary>
    public string? Name { get; init; }

    /// <summary>Group of the object's kind.</summary>
    public string? Group { get; init; }

    /// <summary>Plural (or for invalid objects the kind) that is concerned.</summary>
    public string? Subject { get; init; }

    /// <summary>The object's uid, where it matters.</summary>
    public string? Uid { get; init; }

    /// <summary>Seconds after which to try again; 0 for none.</summary>
    public int RetryAfterSeconds { get; init; }

    /// <summary>Details, one per field.</summary>
    public IReadOnlyList<StatusCause> Causes { get; init; } = [];

    /// <summary>The Status object.</summary>
    public JsonObject ToStatus()
    {
        var status = new JsonObject
        {
            ["kind"] = "Status",
            ["apiVersion"] = "v1",
            ["metadata"] = new JsonObject(),
            ["status"] = "Failure",
            ["message"] = Message,
        };
        if (Reason.Length > 0)
            status["reason"] = Reason;
        var details = new JsonObject();
        if (Name is { Length: > 0 })
            details["name"] = Name;
        if (Group is { Length: > 0 })
            details["group"] = Group;
        if (Subject is { Length: > 0 })
            details["kind"] = Subject;
        if (Uid is { Length: > 0 })
            details["uid"] = Uid;
        if (Causes.Count > 0)
        {
            var causes = new JsonArray();
            foreach (var cause in Causes)
            {
                var entry = new JsonObject { ["reason"] = cause.Reason, ["message"] = cause.Message };
                if (cause.Field.Length > 0)
                    entry["field"] = cause.Field;
                causes.Add((JsonNode)entry);
            }
            details["causes"] = causes;
        }
        if (RetryAfterSeconds > 0)
            details["retryAfterSeconds"] = RetryAfterSeconds;
        if (details.Count > 0)
            status["details"] = details;
        status["code"] = Code;
        return status;
    }

    internal static ApiException NotFound(ResourceType type, string name) =>
        new(
            404,
            "NotFound",
            $"{type.QualifiedName} \"{name}\" not found")
        { Name = name, Group = type.Group, Subject = type.Plural };

    internal static ApiException AlreadyExists(ResourceType type, string name) =>
        new(409, "AlreadyExists",
            $"{type.QualifiedName} \"{name}\" already exists")
        { Name = name, Group = type.Group, Subject = type.Plural };

    internal static ApiException Conflict(
        ResourceType type,
        string name,
        string why = "the object has been modified; please apply your changes to the latest version and try again") =>
        new(409, "Conflict",
            $"Operation cannot be fulfilled on {type.QualifiedName} \"{name}\": {why}")
        {
            Name = name,
            Group = type.Group,
            Subject = type.Plural
        };

    internal static ApiException BadRequest(string message) => new(400, "BadRequest", message);

    internal static ApiException Forbidden(ResourceType type, string name, string why, params StatusCause[] causes) =>
        new(403, "Forbidden", $"{type.QualifiedName} \"{name}\" is forbidden: {why}")
        {
            Name = name,
            Group = type.Group,
            Subject = type.Plural,
            Causes = causes
        };

    /// <summary>A query's options that say something impossible.</summary>
    internal static ApiException InvalidOptions(string kind, string reason, string field, string why) =>
        new(422, "Invalid", $"{kind}.meta.k8s.io \"\" is invalid: {field}: {why}")
        {
            Group = "meta.k8s.io",
            Subject = kind,
            Causes = [new StatusCause(reason, why, field)]
        };

    internal static ApiException Expired(string message) => new(410, "Expired", message);

    internal static ApiException Invalid(ResourceType type, string name, IReadOnlyList<StatusCause> causes)
    {
        var details = causes.Select(c => $"{c.Field}: {c.Message}").ToList();
        var text = details.Count == 1 ? details[0] : "[" + string.Join(", ", details) + "]";
        var subject = type.Group.Length == 0 ? type.Kind : $"{type.Kind}.{type.Group}";
        return new ApiException(422, "Invalid", $"{subject} \"{name}\" is invalid: {text}")
        {
            Name = name,
            Group = type.Group,
            Subject = type.Kind,
            Causes = causes,
        };
    }
}
