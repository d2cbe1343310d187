using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Services;

/// <summary>The service default/kubernetes, by which pods reach the API.</summary>
internal static class ApiService
{
    /// <summary>Makes it with its endpoint, the API's own port on this machine; the router forwards there.</summary>
    public static void Publish(ClusterApi api, Uri where)
    {
        const string name = "kubernetes";
        if (api.Get(Kinds.Services, "default", name) is not null)
            return;
        var labels = new JsonObject { ["component"] = "apiserver", ["provider"] = name };
        api.Create(Kinds.Services, "default", new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = name, ["labels"] = labels },
            ["spec"] = new JsonObject
            {
                ["type"] = "ClusterIP",
                ["clusterIP"] = api.ServiceIpPrefix + "1",
                ["clusterIPs"] = Fields.ListOf([api.ServiceIpPrefix + "1"]),
                ["ports"] = Fields.ListOf([new JsonObject
                {
                    ["name"] = "https",
                    ["port"] = 443,
                    ["protocol"] = "TCP",
                    ["targetPort"] = where.Port
                }]),
            },
        });
        api.Create(Kinds.Endpoints, "default", new JsonObject
        {
            ["metadata"] = new JsonObject { ["name"] = name },
            ["subsets"] = Fields.ListOf([new JsonObject
            {
                ["addresses"] = Fields.ListOf([new JsonObject { ["ip"] = where.Host }]),
                ["ports"] = Fields.ListOf([new JsonObject { ["name"] = "https", ["port"] = where.Port, ["protocol"] = "TCP" }]),
            }]),
        });
        api.Create(Kinds.EndpointSlices, "default", new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                ["name"] = name,
                ["labels"] = new JsonObject { ["kubernetes.io/service-name"] = name }
            },
            ["addressType"] = "IPv4",
            ["endpoints"] = Fields.ListOf([new JsonObject
            {
                ["addresses"] = Fields.ListOf([where.Host]),
                ["conditions"] = new JsonObject { ["ready"] = true }
            }]),
            ["ports"] = Fields.ListOf([new JsonObject { ["name"] = "https", ["port"] = where.Port, ["protocol"] = "TCP" }]),
        });
    }
}
