using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api.Printing;
using CiSteps.Sandbox.Api.Schema;

namespace CiSteps.Sandbox.Api.Store;

/// <summary>What a CustomResourceDefinition says about one version of its kind.</summary>
/// <param name="OpenApi">The OpenAPI v3 schema; null when anything goes.</param>
/// <param name="Schema">The same as a type for merging.</param>
/// <param name="Layout">The columns of tables.</param>
/// <param name="Scale">Paths of the scale subresource, where there is one.</param>
internal sealed record CustomVersion(JsonObject? OpenApi, TypeSchema Schema, TableLayout Layout, JsonObject? Scale);
