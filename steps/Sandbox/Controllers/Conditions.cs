using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;

namespace CiSteps.Sandbox.Controllers;

/// <summary>The condition list of a status.</summary>
internal static class Conditions
{
    public static JsonObject? Condition(this JsonNode? status, string type) =>
        status.Objs("conditions").FirstOrDefault(c => c.Str("type") == type);

    public static bool IsTrue(this JsonNode? status, string type) => status.Condition(type).Str("status") == "True";

    /// <summary>
    /// Sets a condition. Its lastTransitionTime moves only when its status does; nothing at all moves when nothing changed.
    /// </summary>
    /// <param name="status">The status object.</param>
    /// <param name="type">Such as "Available".</param>
    /// <param name="value">True, false, or null for Unknown.</param>
    /// <param name="reason">One word for machines.</param>
    /// <param name="message">For people.</param>
    /// <param name="now">The time of the change.</param>
    /// <param name="extraTime">A further time field that moves with each change: lastUpdateTime (deployments) or lastProbeTime
    /// (jobs).</param>
    public static void SetCondition(
        this JsonObject status,
        string type,
        bool? value,
        string? reason,
        string? message,
        DateTimeOffset now,
        string? extraTime = null)
    {
        var text = value switch { true => "True", false => "False", null => "Unknown" };
        var present = status.Condition(type);
        if (present is not null
            && present.Str("status") == text
            && (present.Str("reason") ?? "") == (reason ?? "")
            && (present.Str("message") ?? "") == (message ?? ""))
            return;
        var made = new JsonObject { ["type"] = type, ["status"] = text };
        if (extraTime is not null)
            made[extraTime] = JsonAccess.Stamp(now);
        made["lastTransitionTime"] = present.Str("status") == text
            ? present.Str("lastTransitionTime") ?? JsonAccess.Stamp(now)
            : JsonAccess.Stamp(now);
        if (!string.IsNullOrEmpty(reason))
            made["reason"] = reason;
        if (!string.IsNullOrEmpty(message))
            made["message"] = message;
        if (status["conditions"] is not JsonArray list)
            status["conditions"] = list = [];
        if (present is not null)
            list[list.IndexOf(present)] = made;
        else
            list.Add((JsonNode?)made);
    }

    public static void RemoveCondition(this JsonObject status, string type)
    {
        if (status["conditions"] is JsonArray list && status.Condition(type) is { } present)
        {
            list.Remove(present);
            if (list.Count == 0)
                status.Remove("conditions");
        }
    }
}
