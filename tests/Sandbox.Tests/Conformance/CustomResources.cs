using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using k8s;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>Kinds of one's own: schema, defaults, subresources, columns.</summary>
internal sealed class CustomResources
{
    private const string Group = "conformance.cisteps.dev";

    private Space space = null!;
    private string plural = "";

    private static Kubernetes Client => ConformanceCluster.Client;

    [OneTimeSetUp]
    public async Task Define_a_kind()
    {
        space = await Space.MakeAsync();
        // A name of the run's own: definitions belong to the whole cluster.
        var kind = "K" + space.Name[^5..];
        plural = kind.ToLowerInvariant() + "s";
        var definition = KubernetesYaml.Deserialize<V1CustomResourceDefinition>($$$"""
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            metadata: {name: {{{plural}}}.{{{Group}}}}
            spec:
              group: {{{Group}}}
              scope: Namespaced
              names: {plural: {{{plural}}}, singular: {{{kind.ToLowerInvariant()}}}, kind: {{{kind}}}, listKind: {{{kind}}}List}
              versions:
              - name: v1
                served: true
                storage: true
                subresources: {status: {},
                  scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size, labelSelectorPath: .status.selector}}
                additionalPrinterColumns:
                - {name: Size, type: integer, jsonPath: .spec.size}
                - {name: Colour, type: string, jsonPath: .spec.colour}
                schema:
                  openAPIV3Schema:
                    type: object
                    properties:
                      spec:
                        type: object
                        required: [colour]
                        properties:
                          colour: {type: string, enum: [red, blue], description: What it looks like.}
                          size: {type: integer, minimum: 0, maximum: 10, default: 3}
                      status:
                        type: object
                        properties: {size: {type: integer}, selector: {type: string}}
            """);
        await Client.ApiextensionsV1.CreateCustomResourceDefinitionAsync(definition);
        Kind = kind;
        await space.KubectlAsync(null, "wait", "--for=condition=Established", $"crd/{plural}.{Group}", "--timeout=60s");
    }

    [OneTimeTearDown]
    public async Task Remove_the_kind()
    {
        if (Kind.Length > 0)
            await Client.ApiextensionsV1.DeleteCustomResourceDefinitionAsync($"{plural}.{Group}");
        await Space.RemoveAsync(space);
    }

    private string Kind { get; set; } = "";

    [Test]
    public async Task A_resource_is_filled_in_and_cut_to_its_schema()
    {
        var made = await CreateAsync("plain", """{"colour":"red","unheard":"of"}""");

        Assert.That(made["spec"]!.ToJsonString(), Is.EqualTo("""{"colour":"red","size":3}"""));
        Assert.That((long)made["metadata"]!["generation"]!, Is.EqualTo(1));
    }

    [Test]
    public async Task A_resource_that_breaks_its_schema_is_refused_field_by_field()
    {
        var (code, status) = await Space.RefusedAsync(() => CreateAsync("broken", """{"colour":"green","size":11}"""));

        Assert.That(code, Is.EqualTo(HttpStatusCode.UnprocessableEntity));
        Assert.That(
            status.Details.Causes.Select(c => (c.Field, c.Reason)),
            Is.EquivalentTo(new[] { ("spec.colour", "FieldValueNotSupported"), ("spec.size", "FieldValueInvalid") }));
        var missing = await Space.RefusedAsync(() => CreateAsync("broken", "{}"));
        Assert.That(
            missing.Status.Details.Causes.Select(c => (c.Field, c.Reason)),
            Is.EqualTo(new[] { ("spec.colour", "FieldValueRequired") }));
    }

    [Test]
    public async Task Status_and_scale_are_their_own()
    {
        await CreateAsync("parts", """{"colour":"blue","size":2}""");
        await Client.CustomObjects.PatchNamespacedCustomObjectStatusAsync(
            new V1Patch("""{"spec":{"colour":"red"},"status":{"size":1,"selector":"a=b"}}""", V1Patch.PatchType.MergePatch),
            Group,
            "v1",
            space.Name,
            plural,
            "parts");
        var after = await ReadAsync("parts");
        Assert.That(
            ((string?)after["spec"]!["colour"], (long)after["status"]!["size"]!, (long)after["metadata"]!["generation"]!),
            Is.EqualTo(("blue", 1L, 1L)));

        Assert.That(
            await space.KubectlAsync(null, "scale", $"{plural}.{Group}/parts", "--replicas=4"), Does.EndWith(" scaled\n"));

        after = await ReadAsync("parts");
        Assert.That(((long)after["spec"]!["size"]!, (long)after["metadata"]!["generation"]!), Is.EqualTo((4L, 2L)));
    }

    [Test]
    public async Task Its_columns_show_and_its_fields_are_explained()
    {
        await CreateAsync("shown", """{"colour":"blue","size":7}""");

        Assert.That(
            await space.KubectlAsync(null, "get", $"{plural}.{Group}", "shown"),
            Does.Match(@"^NAME\s+SIZE\s+COLOUR\nshown\s+7\s+blue\n$"));
        await UntilExplainedAsync();
    }

    [Test]
    public async Task It_is_applied_like_any_other_kind_but_not_merged_strategically()
    {
        var text =
            $$$"""{"apiVersion":"{{{Group}}}/v1","kind":"{{{Kind}}}","metadata":{"name":"applied"},"spec":{"colour":"red"}}""";
        Assert.That(await space.KubectlAsync(text, "apply", "-f", "-"), Does.EndWith("/applied created\n"));
        Assert.That(await space.KubectlAsync(text, "apply", "-f", "-"), Does.EndWith("/applied unchanged\n"));
        Assert.That(
            await space.KubectlAsync(text.Replace("red", "blue"), "apply", "--server-side", "--force-conflicts", "-f", "-"),
            Does.EndWith("/applied serverside-applied\n"));
        Assert.That((string?)(await ReadAsync("applied"))["spec"]!["colour"], Is.EqualTo("blue"));

        var (code, _) = await Space.RefusedAsync(
            () => Client.CustomObjects.PatchNamespacedCustomObjectAsync(
                new V1Patch("{}", V1Patch.PatchType.StrategicMergePatch), Group, "v1", space.Name, plural, "applied"));
        Assert.That(code, Is.EqualTo(HttpStatusCode.UnsupportedMediaType));
    }

    [Test]
    public async Task A_kind_that_nobody_defined_is_not_found()
    {
        // An absent API answers with a plain 404, before any object is looked for.
        var refusal = (await Assert.ThrowsAsync<k8s.Autorest.HttpOperationException>(
            () => Client.CustomObjects.ListNamespacedCustomObjectAsync(Group, "v1", space.Name, "unicorns")))!;
        Assert.That(refusal.Response.StatusCode, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That(refusal.Response.Content, Does.StartWith("404 page not found"));
    }

    private async Task<JsonObject> CreateAsync(string name, string spec) =>
        Read(await Client.CustomObjects.CreateNamespacedCustomObjectAsync(
            JsonNode.Parse(
                $$$"""{"apiVersion":"{{{Group}}}/v1","kind":"{{{Kind}}}","metadata":{"name":"{{{name}}}"},"spec":{{{spec}}}}"""),
            Group,
            "v1",
            space.Name,
            plural));

    private async Task<JsonObject> ReadAsync(string name) =>
        Read(await Client.CustomObjects.GetNamespacedCustomObjectAsync(Group, "v1", space.Name, plural, name));

    private static JsonObject Read(object answer) => JsonObject.Create((JsonElement)answer)!;

    // The description of a new kind is published a little later than the kind.
    private async Task UntilExplainedAsync()
    {
        using var limit = new CancellationTokenSource(Space.Patience);
        while (!(await space.TryKubectlAsync(
            null,
            "explain",
            $"{plural}.spec.colour",
            $"--api-version={Group}/v1")).Output.Contains("What it looks like.", StringComparison.Ordinal))
            limit.Token.ThrowIfCancellationRequested();
    }
}
