using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>
/// Asks the API for a token: namespace, service account, audience (null for the API itself), life time, name and uid of the pod
/// that it is bound to.
/// </summary>
public delegate string IssueToken(
    string ns, string serviceAccount, string? audience, TimeSpan lifetime, string podName, string podUid);

/// <summary>Tokens of pods, each issued once and again after four fifths of its life.</summary>
internal sealed class PodTokens(IssueToken issue, TimeProvider time)
{
    public const string MountPath = "/var/run/secrets/kubernetes.io/serviceaccount";

    private readonly Lock gate = new();
    private readonly Dictionary<(string Uid, string? Audience), (string Token, DateTimeOffset Renew)> issued = [];

    public string For(JsonObject pod, string? audience, long seconds)
    {
        var key = (pod.Uid(), audience);
        var now = time.GetUtcNow();
        lock (gate)
        {
            if (issued.TryGetValue(key, out var known) && known.Renew > now)
                return known.Token;
            var lifetime = TimeSpan.FromSeconds(Math.Max(600, seconds));
            var token = issue(
                pod.Namespace(), pod.Str("spec", "serviceAccountName") ?? "default", audience, lifetime, pod.Name(), pod.Uid());
            issued[key] = (token, now + (lifetime * 0.8));
            return token;
        }
    }

    public void Forget(string podUid)
    {
        lock (gate)
        {
            foreach (var key in issued.Keys.Where(k => k.Uid == podUid).ToList())
                issued.Remove(key);
        }
    }
}
