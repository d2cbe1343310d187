using System.Text.Json.Nodes;

namespace CiSteps.Sandbox.Api.Discovery;

/// <summary>The operations of the API as OpenAPI paths.</summary>
internal static class OpenApiPaths
{
    private static readonly string[] PatchMedia =
        [
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml"
        ];

    public static void Add(JsonObject paths, ResourceType type, string prefix, bool v3)
    {
        var root = type.Group.Length == 0 ? $"/api/{type.Version}" : $"/apis/{type.Group}/{type.Version}";
        var scoped = type.Namespaced ? $"{root}/namespaces/{{namespace}}/{type.Plural}" : $"{root}/{type.Plural}";
        var self = prefix + OpenApiSchemas.Name(type);
        var list = prefix + OpenApiSchemas.ListName(type);
        var parameters = type.Namespaced ? new[] { "namespace" } : [];
        paths[scoped] = Item(v3, parameters,
            ("get", Operation(type, "list", list, null, v3)),
            ("post", Operation(type, "post", self, self, v3)),
            ("delete", Operation(type, "deletecollection", prefix + OpenApiSchemas.Name("meta.Status"), null, v3)));
        if (type.Namespaced)
            paths[$"{root}/{type.Plural}"] = Item(v3, [], ("get", Operation(type, "list", list, null, v3)));
        string[] named = [.. parameters, "name"];
        paths[$"{scoped}/{{name}}"] = Whole(type, v3, named, self, prefix, true);
        if (type.HasStatus)
            paths[$"{scoped}/{{name}}/status"] = Whole(type, v3, named, self, prefix, false);
    }

    private static IEnumerable<string> MediaOf(ResourceType type) =>
        PatchMedia.Where(m => !type.IsCustom || !m.Contains("strategic", StringComparison.Ordinal));

    private static JsonObject Whole(ResourceType type, bool v3, string[] named, string self, string prefix, bool delete)
    {
        var operations = new List<(string, JsonObject)>
        {
            ("get", Operation(type, "get", self, null, v3)), ("put", Operation(type, "put", self, self, v3)),
            ("patch", Operation(type, "patch", self, null, v3)),
        };
        if (delete)
            operations.Add(("delete", Operation(type, "delete", prefix + OpenApiSchemas.Name("meta.Status"), null, v3)));
        return Item(v3, named, [.. operations]);
    }

    private static JsonObject Item(bool v3, string[] names, params (string Method, JsonObject Operation)[] operations)
    {
        var item = new JsonObject();
        foreach (var (method, operation) in operations)
            item[method] = operation;
        if (names.Length > 0)
            item["parameters"] = new JsonArray([.. names.Select(n => (JsonNode?)Parameter(n, "path", "string", v3))]);
        return item;
    }

    private static JsonObject Operation(ResourceType type, string action, string answer, string? body, bool v3)
    {
        var parameters = new JsonArray();
        void Query(string name, string kind) => parameters.Add((JsonNode)Parameter(name, "query", kind, v3));
        if (action is "post" or "put" or "patch")
        {
            Query("dryRun", "string");
            Query("fieldManager", "string");
            Query("fieldValidation", "string");
        }
        if (action == "patch")
            Query("force", "boolean");
        if (action is "delete" or "deletecollection")
        {
            Query("dryRun", "string");
            Query("gracePeriodSeconds", "integer");
            Query("propagationPolicy", "string");
        }
        if (action == "list")
        {
            foreach (var name in new[]
            {
                "continue",
                "fieldSelector",
                "labelSelector",
                "resourceVersion",
                "resourceVersionMatch"
            })
                Query(name, "string");
            Query("limit", "integer");
            Query("timeoutSeconds", "integer");
            Query("watch", "boolean");
            Query("allowWatchBookmarks", "boolean");
        }
        var schema = new JsonObject { ["$ref"] = answer };
        var operation = new JsonObject
        {
            ["operationId"] = $"{action}{type.Group.Replace(".", "")}{type.Version}{type.Kind}",
            ["responses"] = new JsonObject
            {
                ["200"] = v3
                    ? new JsonObject
                    {
                        ["description"] = "OK",
                        ["content"] = new JsonObject { ["application/json"] = new JsonObject { ["schema"] = schema } }
                    }
                    : new JsonObject { ["description"] = "OK", ["schema"] = schema },
            },
            ["x-kubernetes-action"] = action,
            ["x-kubernetes-group-version-kind"] = new JsonObject
            {
                ["group"] = type.Group,
                ["kind"] = type.Kind,
                ["version"] = type.Version
            },
        };
        if (v3)
        {
            if (body is not null)
                operation["requestBody"] = new JsonObject
                {
                    ["content"] = new JsonObject
                    {
                        ["application/json"] = new JsonObject { ["schema"] = new JsonObject { ["$ref"] = body } }
                    }
                };
            if (action == "patch")
            {
                operation["requestBody"] = new JsonObject
                {
                    ["content"] = new JsonObject(MediaOf(type).Select(
                        m => KeyValuePair.Create(
                            m, (JsonNode?)new JsonObject { ["schema"] = new JsonObject { ["type"] = "object" } }))),
                };
            }
        }
        else
        {
            operation["produces"] = new JsonArray("application/json");
            operation["consumes"] = action == "patch"
                ? new JsonArray([.. MediaOf(type).Select(m => (JsonNode?)m)])
                : new JsonArray("*/*");
            if (body is not null)
                parameters.Add((JsonNode)new JsonObject
                {
                    ["name"] = "body",
                    ["in"] = "body",
                    ["required"] = true,
                    ["schema"] = new JsonObject { ["$ref"] = body }
                });
        }
        operation["parameters"] = parameters;
        return operation;
    }

    private static JsonObject Parameter(string name, string place, string kind, bool v3)
    {
        var parameter = new JsonObject { ["name"] = name, ["in"] = place };
        if (place == "path")
            parameter["required"] = true;
        if (v3)
            parameter["schema"] = new JsonObject { ["type"] = kind, ["uniqueItems"] = true };
        else
        {
            parameter["type"] = kind;
            parameter["uniqueItems"] = true;
        }
        return parameter;
    }
}
