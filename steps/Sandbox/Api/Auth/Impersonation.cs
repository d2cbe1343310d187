using Microsoft.AspNetCore.Http;

namespace CiSteps.Sandbox.Api.Auth;

/// <summary>Lets those who may act as somebody else (<c>kubectl --as</c>).</summary>
internal static class Impersonation
{
    public static UserInfo Apply(HttpContext context, UserInfo user, Authorizer authorizer)
    {
        var name = context.Request.Headers["Impersonate-User"].ToString();
        var groups = context.Request.Headers["Impersonate-Group"].Select(g => g ?? "").ToList();
        if (name.Length == 0)
        {
            return groups.Count == 0 ? user
                : throw new ApiException(400, "BadRequest", "requested [groups] without impersonating a user");
        }
        if (name.Split(':') is ["system", "serviceaccount", var ns, var account])
        {
            authorizer.Demand(user, new Attributes("impersonate", "", "serviceaccounts", null, ns, account));
            if (groups.Count == 0)
                groups.AddRange(["system:serviceaccounts", $"system:serviceaccounts:{ns}"]);
        }
        else
            authorizer.Demand(user, new Attributes("impersonate", "", "users", null, null, name));
        foreach (var group in context.Request.Headers["Impersonate-Group"])
            authorizer.Demand(user, new Attributes("impersonate", "", "groups", null, null, group));
        if (name != UserInfo.Anonymous.Name && !groups.Contains("system:authenticated"))
            groups.Add("system:authenticated");
        return new UserInfo(name, groups);
    }
}
