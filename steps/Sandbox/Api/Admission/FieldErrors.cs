using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Admission;

/// <summary>Collects what is wrong with an object, field by field, in Kubernetes' words.</summary>
internal sealed class FieldErrors
{
    public List<StatusCause> Causes { get; } = [];

    public void Required(string field, string? why = null) =>
        Causes.Add(new StatusCause("FieldValueRequired", why is null ? "Required value" : $"Required value: {why}", field));

    public void Invalid(string field, JsonNode? value, string why) =>
        Causes.Add(new StatusCause("FieldValueInvalid", $"Invalid value: {Show(value)}: {why}", field));

    public void Unsupported(string field, JsonNode? value, params string[] supported) =>
        Causes.Add(new StatusCause("FieldValueNotSupported",
            $"Unsupported value: {Show(value)}: supported values: {string.Join(", ", supported.Select(s => $"\"{s}\""))}",
            field));

    public void Duplicate(string field, JsonNode? value) =>
        Causes.Add(new StatusCause("FieldValueDuplicate", $"Duplicate value: {Show(value)}", field));

    public void Forbidden(string field, string why) =>
        Causes.Add(new StatusCause("FieldValueForbidden", $"Forbidden: {why}", field));

    public void NotFound(string field, JsonNode? value) =>
        Causes.Add(new StatusCause("FieldValueNotFound", $"Not found: {Show(value)}", field));

    public void TooLong(string field, string why) =>
        Causes.Add(new StatusCause("FieldValueTooLong", $"Too long: {why}", field));

    public void WrongType(string field, JsonNode? value, string why) =>
        Causes.Add(new StatusCause("FieldValueTypeInvalid", $"Invalid value: {Show(value)}: {why}", field));

    public void Add(FieldErrors others) => Causes.AddRange(others.Causes);

    public void Immutable(string field, JsonNode? before, JsonNode? after)
    {
        if (!JsonNode.DeepEquals(before, after))
            Invalid(field, after, "field is immutable");
    }

    public void Throw(ResourceType type, string name)
    {
        if (Causes.Count > 0)
            throw ApiException.Invalid(type, name, Causes);
    }

    public static string Show(JsonNode? value) => value is null ? "null" : value.ToJsonString();
}
