using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Discovery;

/// <summary>OpenAPI documents of what is served.</summary>
internal sealed class OpenApiDocuments(ClusterApi api)
{
    public Task<bool> HandleAsync(HttpContext context, string path) => Task.FromResult(api is null && context is null && path.Length == 0);
}
