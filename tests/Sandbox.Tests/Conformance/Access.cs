using System.Net;
using k8s;
using k8s.Models;

namespace CiSteps.Sandbox.Tests.Conformance;

/// <summary>Who is let in, and who may do what.</summary>
internal sealed class Access
{
    private Space space = null!;

    private static Kubernetes Client => ConformanceCluster.Client;

    private string Ns => space.Name;

    [SetUp]
    public async Task Make_a_namespace() => space = await Space.MakeAsync();

    [TearDown]
    public Task Remove_the_namespace() => Space.RemoveAsync(space);

    [Test]
    public async Task A_token_speaks_for_its_account_until_the_account_goes()
    {
        await space.CreateAsync<V1ServiceAccount>("{metadata: {name: robot}}");
        var token = await TokenAsync("robot");
        var before = await ReviewAsync(token);
        Assert.That(
            (before.User.Username, before.User.Groups), Is.EqualTo(($"system:serviceaccount:{Ns}:robot", before.User.Groups)));
        Assert.That(
            before.User.Groups,
            Is.SupersetOf(new[] { "system:serviceaccounts", $"system:serviceaccounts:{Ns}", "system:authenticated" }));

        await Client.CoreV1.DeleteNamespacedServiceAccountAsync("robot", Ns);

        await UntilRevokedAsync(token);
    }

    [Test]
    public async Task A_token_says_when_it_ends_and_is_for_its_audience_only()
    {
        var asked = DateTime.UtcNow;
        var made = await Client.CoreV1.CreateNamespacedServiceAccountTokenAsync(
            new() { Spec = new() { Audiences = ["elsewhere"], ExpirationSeconds = 600 } }, "default", Ns);
        Assert.That(made.Status.ExpirationTimestamp, Is.EqualTo(asked.AddSeconds(600)).Within(TimeSpan.FromSeconds(60)));

        Assert.That((await ReviewAsync(made.Status.Token)).Authenticated, Is.Not.True);
        var there = await Client.AuthenticationV1.CreateTokenReviewAsync(new()
        {
            Spec = new() { Token = made.Status.Token, Audiences = ["elsewhere"] }
        });
        Assert.That((there.Status.Authenticated, there.Status.Audiences), Is.EqualTo(((bool?)true, new[] { "elsewhere" })));
        using var stranger = ConformanceCluster.Connect(made.Status.Token);
        Assert.That(
            (await Space.RefusedAsync(() => stranger.CoreV1.ListNamespacedPodAsync(Ns))).Code,
            Is.EqualTo(HttpStatusCode.Unauthorized));
        var (code, status) = await Space.RefusedAsync(
            () => Client.CoreV1.CreateNamespacedServiceAccountTokenAsync(
                new() { Spec = new() { Audiences = [], ExpirationSeconds = 60 } }, "default", Ns));
        Assert.That((code, status.Reason), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "Invalid")), "ten minutes at least");
    }

    [Test]
    public async Task A_bound_token_ends_with_its_secret()
    {
        var secret = await space.CreateAsync<V1Secret>("{metadata: {name: leash}}");
        var made = await Client.CoreV1.CreateNamespacedServiceAccountTokenAsync(
            new()
            {
                Spec = new()
                {
                    Audiences = [],
                    BoundObjectRef = new() { ApiVersion = "v1", Kind = "Secret", Name = "leash", Uid = secret.Metadata.Uid }
                }
            },
            "default",
            Ns);
        Assert.That((await ReviewAsync(made.Status.Token)).Authenticated, Is.True);

        await Client.CoreV1.DeleteNamespacedSecretAsync("leash", Ns);

        await UntilRevokedAsync(made.Status.Token);
    }

    [Test]
    public async Task A_secret_of_the_token_type_is_filled_in_and_revokes_with_its_removal()
    {
        await space.CreateAsync<V1Secret>(
            "{metadata: {name: legacy, annotations: {kubernetes.io/service-account.name: default}}, type: " +
            "kubernetes.io/service-account-token}");
        var filled = await space.UntilAsync<V1Secret>("legacy", s => s.Data?.ContainsKey("token") == true);
        Assert.That(filled.Data.Keys, Is.EquivalentTo(new[] { "ca.crt", "namespace", "token" }));
        var token = System.Text.Encoding.UTF8.GetString(filled.Data["token"]);
        Assert.That((await ReviewAsync(token)).User.Username, Is.EqualTo($"system:serviceaccount:{Ns}:default"));

        await Client.CoreV1.DeleteNamespacedSecretAsync("legacy", Ns);

        await UntilRevokedAsync(token);
    }

    [Test]
    public async Task A_role_lets_its_account_do_what_it_says_and_no_more()
    {
        await space.CreateAsync<V1ServiceAccount>("{metadata: {name: reader}}");
        await space.CreateAsync<V1Role>(
            """
            {metadata: {name: reader}, rules: [{apiGroups: [""], resources: [configmaps], resourceNames: [one], verbs: [get]},
             {apiGroups: [""], resources: [pods], verbs: [list]},
             {apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [create]}]}
            """);
        await space.CreateAsync<V1RoleBinding>(
            "{metadata: {name: reader}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}, subjects: " +
            "[{kind: ServiceAccount, name: reader, namespace: NAMESPACE}]}");
        await space.CreateAsync<V1ConfigMap>("{metadata: {name: one}}");
        await space.CreateAsync<V1ConfigMap>("{metadata: {name: two}}");
        using var reader = ConformanceCluster.Connect(await TokenAsync("reader"));
        await space.UntilAllowedAsync("reader", "list", "pods");

        await reader.CoreV1.ListNamespacedPodAsync(Ns);
        await reader.CoreV1.ReadNamespacedConfigMapAsync("one", Ns);
        var (code, status) = await Space.RefusedAsync(() => reader.CoreV1.ReadNamespacedConfigMapAsync("two", Ns));
        Assert.That((code, status.Reason), Is.EqualTo((HttpStatusCode.Forbidden, "Forbidden")));
        Assert.That(
            status.Message,
            Is.EqualTo(
                $"configmaps \"two\" is forbidden: User \"system:serviceaccount:{Ns}:reader\" cannot get resource " +
                $"\"configmaps\" in API group \"\" in the namespace \"{Ns}\""));
        Assert.That(
            (await Space.RefusedAsync(() => reader.CoreV1.ListPodForAllNamespacesAsync())).Code,
            Is.EqualTo(HttpStatusCode.Forbidden));
        var escalation = await Space.RefusedAsync(() => reader.RbacAuthorizationV1.CreateNamespacedRoleAsync(
            new()
            {
                Metadata = new() { Name = "more" },
                Rules = [new() { ApiGroups = [""], Resources = ["secrets"], Verbs = ["get"] }]
            },
            Ns));
        Assert.That(
            (escalation.Code, escalation.Status.Message), Is.EqualTo((HttpStatusCode.Forbidden, escalation.Status.Message)));
        Assert.That(escalation.Status.Message, Does.Contain("is attempting to grant RBAC permissions not currently held"));

        var own = await reader.AuthorizationV1.CreateSelfSubjectAccessReviewAsync(new()
        {
            Spec = new() { ResourceAttributes = new() { NamespaceProperty = Ns, Verb = "list", Resource = "pods" } }
        });
        Assert.That(own.Status.Allowed, Is.True);
        var rules = await reader.AuthorizationV1.CreateSelfSubjectRulesReviewAsync(new()
        {
            Spec = new() { NamespaceProperty = Ns }
        });
        Assert.That(
            rules.Status.ResourceRules,
            Has.Some.Matches<V1ResourceRule>(r => r is { Resources: { } of } && of.Contains("pods") && r.Verbs.Contains("list")));

        await Client.RbacAuthorizationV1.DeleteNamespacedRoleBindingAsync("reader", Ns);
        await UntilRefusedAsync(() => reader.CoreV1.ListNamespacedPodAsync(Ns));
    }

    [Test]
    public async Task A_token_that_nobody_issued_is_not_let_in()
    {
        using var nobody = ConformanceCluster.Connect("not.a.token");

        var (code, status) = await Space.RefusedAsync(() => nobody.CoreV1.ListNamespacedPodAsync(Ns));

        Assert.That((code, status.Reason), Is.EqualTo((HttpStatusCode.Unauthorized, "Unauthorized")));
    }

    private async Task<string> TokenAsync(string account) =>
        (await Client.CoreV1.CreateNamespacedServiceAccountTokenAsync(
            new() { Spec = new() { Audiences = [], ExpirationSeconds = 600 } }, account, Ns)).Status.Token;

    private static async Task<V1TokenReviewStatus> ReviewAsync(string token) =>
        (await Client.AuthenticationV1.CreateTokenReviewAsync(new() { Spec = new() { Token = token } })).Status;

    // API servers remember a good token for some seconds.
    private static async Task UntilRevokedAsync(string token)
    {
        using var limit = new CancellationTokenSource(Space.Patience);
        while ((await ReviewAsync(token)).Authenticated == true)
            limit.Token.ThrowIfCancellationRequested();
    }

    // Authorisers follow the roles a moment later.
    private static async Task UntilRefusedAsync(Func<Task> call)
    {
        using var limit = new CancellationTokenSource(Space.Patience);
        while (true)
        {
            limit.Token.ThrowIfCancellationRequested();
            try
            {
                await call();
            }
            catch (k8s.Autorest.HttpOperationException e) when (e.Response.StatusCode == HttpStatusCode.Forbidden)
            {
                return;
            }
        }
    }
}
