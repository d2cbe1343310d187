using System.Reflection;
using System.Runtime.CompilerServices;

namespace CiSteps.Layout.Tests;

/// <summary>What a library shows to others.</summary>
public sealed class A_librarys_surface
{
    // Ours, the platform's, and the one pipeline type that says "retried" in Hosting (steps/README.md, 2026-11-23).
    private static readonly string[] MayBeSeen = [
        "CiSteps.",
        "System.",
        "Microsoft.AspNetCore.",
        "Microsoft.Extensions.",
        "Polly.Core"
    ];

    [TestCase("Clusters")]
    [TestCase("Hosting")]
    [TestCase("Images")]
    [TestCase("Notifications")]
    [TestCase("Pipeline")]
    [TestCase("Reports")]
    [TestCase("Repositories")]
    [TestCase("Sandbox")]
    [TestCase("TeamCity")]
    [TestCase("TestReports")]
    [TestCase("Testbeds")]
    public void Shows_no_vendors_types(string library)
    {
        var assembly = Assembly.Load("CiSteps." + library);
        var seen = assembly.GetExportedTypes()
            .SelectMany(type => Mentioned(type).Select(other => (By: type.FullName, Other: other)))
            .Where(
                pair => !MayBeSeen.Any(
                    prefix => (pair.Other.Assembly.GetName().Name + ".").StartsWith(prefix, StringComparison.Ordinal)))
            .Select(pair => $"{pair.By} shows {pair.Other.FullName}").Distinct();
        Assert.That(seen, Is.Empty);
        Assert.That(assembly.GetExportedTypes(), Is.Not.Empty);
    }

    private static IEnumerable<Type> Mentioned(Type type)
    {
        const BindingFlags all =
            BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance
            | BindingFlags.Static | BindingFlags.DeclaredOnly;
        var types = new List<Type?> { type.BaseType };
        types.AddRange(type.GetInterfaces());
        types.AddRange(type.GetCustomAttributesData().Select(attribute => attribute.AttributeType));
        foreach (var method in type.GetMethods(all)
            .Cast<MethodBase>()
            .Concat(type.GetConstructors(all))
            .Where(method => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly))
        {
            types.AddRange(method.GetParameters().Select(parameter => parameter.ParameterType));
            if (method is MethodInfo info) types.Add(info.ReturnType);
        }
        types.AddRange(type.GetFields(all)
            .Where(field => (field.IsPublic || field.IsFamily) && !field.IsDefined(typeof(CompilerGeneratedAttribute)))
            .Select(field => field.FieldType));
        return types.OfType<Type>().SelectMany(Inside).Where(one => !one.IsGenericParameter);
    }

    private static IEnumerable<Type> Inside(Type type)
    {
        if (type.HasElementType) return Inside(type.GetElementType()!);
        return type.IsGenericType ? [type.GetGenericTypeDefinition(), .. type.GetGenericArguments().SelectMany(Inside)] : [type];
    }
}
