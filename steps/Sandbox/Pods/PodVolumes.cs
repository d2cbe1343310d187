using System.Text;
using System.Text.Json.Nodes;
using CiSteps.Sandbox.Api;
using CiSteps.Sandbox.Controllers;

namespace CiSteps.Sandbox.Pods;

/// <summary>A volume cannot be made yet; shown as a FailedMount event while the pod waits.</summary>
internal sealed class VolumeException(string volume, string message)
    : Exception($"MountVolume.SetUp failed for volume \"{volume}\" : {message}");

/// <summary>A pod's volumes as folders of this host.</summary>
internal sealed class PodVolumes(
    ClusterApi api,
    JsonObject pod,
    string folder,
    string memoryFolder,
    string claimsFolder,
    PodTokens? tokens,
    TimeProvider time)
{
    private ContainerEnvironment fields = new(api, pod, null, "");

    /// <summary>The bytes of a ConfigMap or Secret by key.</summary>
    public static IReadOnlyDictionary<string, byte[]> DataOf(JsonObject source)
    {
        var data = new Dictionary<string, byte[]>();
        var secret = source.Str("kind") == "Secret";
        foreach (var (key, value) in source.Map("data"))
            data[key] = secret ? Convert.FromBase64String(value) : Encoding.UTF8.GetBytes(value);
        foreach (var (key, value) in source.Map("binaryData"))
            data[key] = Convert.FromBase64String(value);
        foreach (var (key, value) in source.Map("stringData"))
            data[key] = Encoding.UTF8.GetBytes(value);
        return data;
    }

    /// <summary>
    /// Makes or refreshes all volumes, with the labels and annotations that the pod has now. Throws <see cref="VolumeException"/>
    /// for the first that cannot be made.
    /// </summary>
    public void Write(JsonObject present)
    {
        pod = present;
        fields = new(api, pod, null, "");
        foreach (var volume in pod.Objs("spec", "volumes"))
        {
            var name = volume.Str("name") ?? "";
            if (FolderOf(volume) is not { } target)
                throw new VolumeException(name,
                    "this kind of volume is not served by the sandbox; use emptyDir, configMap, secret, projected, " +
                    "downwardAPI, hostPath or persistentVolumeClaim");
            if (volume.Obj("persistentVolumeClaim") is { } claim
                && api.Get(Kinds.PersistentVolumeClaims, pod.Namespace(), claim.Str("claimName") ?? "") is null)
                throw new VolumeException(name, $"persistentvolumeclaim \"{claim.Str("claimName")}\" not found");
            if (volume.Obj("hostPath") is { } host)
                PrepareHostPath(name, target, host.Str("type") ?? "");
            else if (FilesOf(name, volume) is { } files)
            {
                if (AtomicFolder.Write(target, files, time.GetUtcNow().UtcTicks))
                    GiveToGroup(target);
            }
            else if (!Directory.Exists(target))
            {
                Directory.CreateDirectory(target);
                HostFiles.SetMode(target, 0x1ff);
                GiveToGroup(target);
            }
        }

        if (AccountFiles() is { } account)
            AtomicFolder.Write(AccountFolder, account, time.GetUtcNow().UtcTicks);
    }

    /// <summary>
    /// Where a container sees which folder. Throws <see cref="ContainerConfigException"/> for a mount of an unknown volume.
    /// </summary>
    public IReadOnlyList<Mount> MountsOf(JsonObject container, IReadOnlyDictionary<string, string> environment)
    {
        var mounts = new List<Mount>();
        foreach (var mount in container.Objs("volumeMounts"))
        {
            var name = mount.Str("name") ?? "";
            var volume = pod.Objs("spec", "volumes").FirstOrDefault(v => v.Str("name") == name)
                ?? throw new ContainerConfigException($"no volume \"{name}\" in the pod");
            var source = FolderOf(volume)!;
            var sub = mount.Str("subPath")
                ?? (mount.Str("subPathExpr") is { } expression ? ContainerEnvironment.Expand(expression, environment) : null);
            if (!string.IsNullOrEmpty(sub))
            {
                source = Path.GetFullPath(Path.Combine(source, sub));
                // Admission lets no such path in; an expression's variables still may.
                if (Path.GetRelativePath(FolderOf(volume)!, source).Split(Path.DirectorySeparatorChar)[0] == "..")
                    throw new ContainerConfigException($"subPath \"{sub}\" of volume \"{name}\" leads out of it");
                // A file of a projected volume is bound as it is now: like everywhere, such a mount does not follow changes.
                source = Resolve(source);
                if (!Path.Exists(source))
                    Directory.CreateDirectory(source);
            }

            var projected = FilesKind(volume);
            mounts.Add(new(source, mount.Str("mountPath") ?? "/", mount.Flag("readOnly") || projected));
        }

        if (Directory.Exists(AccountFolder) && !mounts.Exists(m => m.ContainerPath.TrimEnd('/') == PodTokens.MountPath))
            mounts.Add(new(AccountFolder, PodTokens.MountPath, ReadOnly: true));
        return mounts;
    }

    private string AccountFolder => Path.Combine(folder, "service-account");

    // Links may stand anywhere in the path ("b.txt" leads to "..data/b.txt", "..data" to the present version).
    private static string Resolve(string path)
    {
        for (var depth = 0; depth < 8 && new FileInfo(path).LinkTarget is { } target; depth++)
            path = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, target));
        var parent = Path.GetDirectoryName(path);
        return parent is { Length: > 1 } && new DirectoryInfo(parent).LinkTarget is { } real
            ? Path.Combine(Path.GetDirectoryName(parent)!, real, Path.GetFileName(path))
            : path;
    }

    private static bool FilesKind(JsonObject volume) =>
        volume.Obj("configMap") is not null
            || volume.Obj("secret") is not null
            || volume.Obj("projected") is not null
            || volume.Obj("downwardAPI") is not null;

    private string? FolderOf(JsonObject volume)
    {
        var name = volume.Str("name") ?? "";
        if (volume.Obj("hostPath") is { } host)
            return host.Str("path");
        if (volume.Obj("persistentVolumeClaim") is { } claim)
            return Path.Combine(claimsFolder, pod.Namespace(), claim.Str("claimName") ?? "");
        if (volume.Obj("emptyDir") is { } empty)
            return empty.Str("medium") == "Memory" ? Path.Combine(memoryFolder, name) : Path.Combine(folder, "volumes", name);
        return FilesKind(volume) ? Path.Combine(folder, "volumes", name) : null;
    }

    private static void PrepareHostPath(string name, string path, string type)
    {
        switch (type)
        {
            case "DirectoryOrCreate":
                Directory.CreateDirectory(path);
                break;
            case "Directory" when !Directory.Exists(path):
                throw new VolumeException(name, $"hostPath type check failed: {path} is not a directory");
            case "File" when !File.Exists(path):
                throw new VolumeException(name, $"hostPath type check failed: {path} is not a file");
        }
    }

    /// <summary>The files of a projected kind of volume; null for other kinds.</summary>
    private List<ProjectedFile>? FilesOf(string name, JsonObject volume)
    {
        if (volume.Obj("configMap") is { } map)
            return Keys(name, Kinds.ConfigMaps, "configmap", map.Str("name"), map, map.Int(0x1a4, "defaultMode"));
        if (volume.Obj("secret") is { } secret)
            return Keys(name, Kinds.Secrets, "secret", secret.Str("secretName"), secret, secret.Int(0x1a4, "defaultMode"));
        if (volume.Obj("downwardAPI") is { } downward)
            return Downward(downward, downward.Int(0x1a4, "defaultMode"));
        if (volume.Obj("projected") is not { } projected)
            return null;
        var mode = projected.Int(0x1a4, "defaultMode");
        var files = new List<ProjectedFile>();
        foreach (var source in projected.Objs("sources"))
        {
            if (source.Obj("configMap") is { } m)
                files.AddRange(Keys(name, Kinds.ConfigMaps, "configmap", m.Str("name"), m, mode));
            else if (source.Obj("secret") is { } s)
                files.AddRange(Keys(name, Kinds.Secrets, "secret", s.Str("name"), s, mode));
            else if (source.Obj("downwardAPI") is { } d)
                files.AddRange(Downward(d, mode));
            else if (source.Obj("serviceAccountToken") is { } t && tokens is not null)
                files.Add(new(
                    t.Str("path") ?? "token",
                    Encoding.UTF8.GetBytes(tokens.For(pod, t.Str("audience"), t.Num("expirationSeconds") ?? 3600)),
                    0x180));
        }

        return files;
    }

    private List<ProjectedFile> Keys(string volume, ResourceType type, string word, string? name, JsonObject reference, int mode)
    {
        var optional = reference.Flag("optional");
        if (api.Get(type, pod.Namespace(), name ?? "") is not { } source)
            return optional ? [] : throw new VolumeException(volume, $"{word} \"{name}\" not found");
        var data = DataOf(source);
        if (reference["items"] is not JsonArray)
            return [.. data.Select(d => new ProjectedFile(d.Key, d.Value, mode))];
        var files = new List<ProjectedFile>();
        foreach (var item in reference.Objs("items"))
        {
            var key = item.Str("key") ?? "";
            if (data.TryGetValue(key, out var content))
                files.Add(new(item.Str("path") ?? key, content, item.Int(mode, "mode")));
            else if (!optional)
                throw new VolumeException(volume,
                    $"{(word == "secret"
                        ? "references non-existent secret key"
                        : "configmap references non-existent config key")}: {key}");
        }

        return files;
    }

    private List<ProjectedFile> Downward(JsonObject source, int mode)
    {
        var files = new List<ProjectedFile>();
        foreach (var item in source.Objs("items"))
        {
            var text = item.Obj("resourceFieldRef") is { } resource
                ? fields.ResourceField(resource, pod.Objs("spec", "containers").First())
                : fields.Field(item.Str("fieldRef", "fieldPath") ?? "") ?? "";
            files.Add(new(item.Str("path") ?? "", Encoding.UTF8.GetBytes(text), item.Int(mode, "mode")));
        }

        return files;
    }

    /// <summary>The files that every pod finds at the well-known place, unless it opted out or brings a volume for it.</summary>
    private List<ProjectedFile>? AccountFiles()
    {
        if (tokens is null
            || pod
                .Objs("spec", "containers")
                .Any(c => c.Objs("volumeMounts").Any(m => m.Str("mountPath")?.TrimEnd('/') == PodTokens.MountPath)))
            return null;
        var account = api.Get(Kinds.ServiceAccounts, pod.Namespace(), pod.Str("spec", "serviceAccountName") ?? "default");
        var wanted = pod.At("spec", "automountServiceAccountToken") ?? account.At("automountServiceAccountToken");
        if (account is null || (wanted is not null && wanted.GetValueKind() == System.Text.Json.JsonValueKind.False))
            return null;
        var files = new List<ProjectedFile>
        {
            new("token", Encoding.UTF8.GetBytes(tokens.For(pod, null, 3607)), 0x1a4),
            new("namespace", Encoding.UTF8.GetBytes(pod.Namespace()), 0x1a4),
        };
        if (api.Get(Kinds.ConfigMaps, pod.Namespace(), "kube-root-ca.crt") is { } authority
            && DataOf(authority).TryGetValue("ca.crt", out var pem))
            files.Add(new("ca.crt", pem, 0x1a4));
        return files;
    }

    private void GiveToGroup(string path)
    {
        if (pod.Num("spec", "securityContext", "fsGroup") is not { } group)
            return;
        foreach (var entry in Directory.EnumerateFileSystemEntries(path, "*", SearchOption.AllDirectories).Prepend(path))
        {
            HostFiles.SetGroup(entry, (int)group);
            if (Directory.Exists(entry))
                HostFiles.SetMode(entry, HostFiles.Mode(entry) | 0x438);
        }
    }
}
