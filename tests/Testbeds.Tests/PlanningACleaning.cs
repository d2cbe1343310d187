using CiSteps.Clusters;
using CiSteps.Testbeds.Cleaning;

namespace CiSteps.Testbeds.Tests;

[TestFixture]
internal sealed class PlanningACleaning
{
    private static readonly Kind Role = new("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false);
    private static readonly Kind Webhook = new(
        "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false);
    private static readonly Kind Custom = new("example.com/v1", "Widget", "widgets", true);

    [Test]
    public void What_the_baseline_has_is_left_alone()
    {
        var there = new[] { Item(Kinds.Namespace, null, "kube-system"), Item(Kinds.ConfigMap, "default", "settings") };

        var plan = CleaningPlan.For(there, there.Select(item => item.Id).ToHashSet());

        Assert.That(plan.IsClean, Is.True);
    }

    [Test]
    public void What_stands_in_a_leftover_namespace_goes_with_it()
    {
        var plan = CleaningPlan.For(
            [
                Item(Kinds.Namespace, null, "test"),
                Item(Kinds.Deployment, "test", "web"),
                Item(Kinds.Deployment, "default", "stray")
            ],
            new HashSet<string>());

        Assert.That(
            plan.Leftovers.Select(item => item.Title),
            Is.EqualTo(new[] { "Deployment \"default/stray\"", "Namespace \"test\"" }));
    }

    [Test]
    public void Webhooks_go_first_and_custom_objects_before_their_definitions()
    {
        var plan = CleaningPlan.For(
            [Item(Kinds.Namespace, null, "test"), Item(Role, null, "r"),
                Item(Kinds.CustomResourceDefinition, null, "widgets.example.com"),
                Item(Custom, "default", "w"), Item(Webhook, null, "deny"), Item(
                    Kinds.ConfigMap, "default", "c")], new HashSet<string>());

        Assert.That(plan.Leftovers.Select(item => item.Kind.Name), Is.EqualTo(new[]
            { "ValidatingWebhookConfiguration", "Widget", "CustomResourceDefinition", "ConfigMap", "Namespace", "ClusterRole" }));
    }

    [Test]
    public void What_is_gone_from_the_baseline_is_named()
    {
        var plan = CleaningPlan.For([], new HashSet<string> { "apps/Deployment kube-system dns" });

        Assert.Multiple(() =>
        {
            Assert.That(plan.Missing, Is.EqualTo(new[] { "apps/Deployment kube-system dns" }));
            Assert.That(plan.IsClean, Is.False);
        });
    }

    [Test]
    public void An_object_made_anew_under_a_baseline_name_is_not_deleted()
    {
        var plan = CleaningPlan.For(
            [Item(Kinds.ConfigMap, "kube-system", "dns")], new HashSet<string> { "/ConfigMap kube-system dns" });

        Assert.That(plan.Leftovers, Is.Empty);
    }

    private static TestbedObject Item(Kind kind, string? ns, string name) =>
        new(kind, ns, name, Guid.NewGuid().ToString(), [], false);
}
