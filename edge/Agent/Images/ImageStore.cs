using System.Formats.Tar;
using System.IO.Compression;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using RenderTrust.Agent.Running;
using RenderTrust.Agent.Scratch;

namespace RenderTrust.Agent.Images;

/// <summary>An unpacked image, and what its configuration says about starting it.</summary>
internal sealed record UnpackedImage(string Rootfs, IReadOnlyList<string> Command, IReadOnlyList<string> Environment, string WorkingDirectory);

/// <summary>
/// Images for runners that have no engine: fetched by digest from an OCI registry, or from a tarball pinned by SHA-256,
/// checked byte by byte, unpacked once per digest.
/// </summary>
internal sealed class ImageStore(string folder, ImageSources sources, HttpClient http) : IDisposable
{
    private const int ManifestBytesMax = 4 << 20;
    private const long LayerBytesMax = 8L << 30;
    private const int LinksMax = 40;

    private readonly SemaphoreSlim _oneAtATime = new(1, 1);

    /// <summary>A client that goes to the registry itself and nowhere that the registry points to.</summary>
    public static HttpClient Client() => new(new SocketsHttpHandler { UseProxy = false, UseCookies = false, AllowAutoRedirect = false });

    public ImageSources Sources => sources;

    public async Task<UnpackedImage> UnpackAsync(ModuleImage image, CancellationToken cancellationToken)
    {
        await _oneAtATime.WaitAsync(cancellationToken);
        try
        {
            // A tarball has its own pin: what it gave must not answer for an image digest, nor the other way round.
            return image.Rootfs is { } tarball && sources.Allows(tarball)
                ? await UnpackTarballAsync(tarball, cancellationToken)
                : await UnpackImageAsync(image, cancellationToken);
        }
        finally
        {
            _oneAtATime.Release();
        }
    }

    public void Dispose()
    {
        _oneAtATime.Dispose();
        http.Dispose();
    }

    private async Task<UnpackedImage> UnpackTarballAsync(RootfsTarball tarball, CancellationToken cancellationToken)
    {
        if (tarball.Sha256.Length != 64 || !tarball.Sha256.All(char.IsAsciiHexDigitLower))
        {
            throw new UnitFailedException(FailureClass.DigestMismatch, "The module's root file system is not pinned: its sha256 is not 64 lower-case hex characters.");
        }

        var target = Path.Combine(folder, "rootfs-" + tarball.Sha256);
        var config = new ImageConfig(null);
        if (!Directory.Exists(target))
        {
            await BuildAsync(target, config, async staging =>
            {
                var packed = Path.Combine(staging, "packed");
                if (ImageSources.IsRemote(tarball))
                {
                    await DownloadAsync(new Uri(tarball.Url), packed, tarball.Sha256, cancellationToken);
                }
                else
                {
                    await using var source = File.OpenRead(tarball.Url);
                    await CopyCheckedAsync(source, packed, tarball.Sha256, cancellationToken);
                }

                await ExtractAsync(packed, Path.Combine(staging, "rootfs"), new UnpackBudget(), cancellationToken);
                File.Delete(packed);
            }, cancellationToken);
        }

        return await ReadAsync(target, cancellationToken);
    }

    private async Task<UnpackedImage> UnpackImageAsync(ModuleImage image, CancellationToken cancellationToken)
    {
        sources.Require(image);
        var target = Path.Combine(folder, "image-" + image.Hex);
        if (Directory.Exists(target))
        {
            return await ReadAsync(target, cancellationToken);
        }

        // Step 1: the manifest, whose hash is the pinned digest itself.
        var baseUri = RegistryUri(image.Repository);
        var manifestBytes = await FetchSmallAsync(new Uri(baseUri, $"manifests/{image.Digest}"), image.Digest, cancellationToken);
        var manifest = Parse<ImageManifest>(manifestBytes, "manifest");
        if (manifest.Config is null || manifest.Layers is not { Count: > 0 })
        {
            throw new UnitFailedException(FailureClass.DigestMismatch, "The module's digest names a list of images or something else that is not an image manifest. Publish the digest of one platform's image.");
        }

        // Step 2: its configuration. Step 3: its layers. Each is checked against the digest in the manifest above it.
        var config = Parse<ImageConfig>(await FetchSmallAsync(new Uri(baseUri, $"blobs/{manifest.Config.Digest}"), manifest.Config.Digest, cancellationToken), "configuration");
        await BuildAsync(target, config, async staging =>
        {
            var budget = new UnpackBudget();
            foreach (var layer in manifest.Layers)
            {
                var packed = Path.Combine(staging, "packed");
                await DownloadAsync(new Uri(baseUri, $"blobs/{layer.Digest}"), packed, Hex(layer.Digest), cancellationToken);
                await ExtractAsync(packed, Path.Combine(staging, "rootfs"), budget, cancellationToken);
                File.Delete(packed);
            }
        }, cancellationToken);
        return await ReadAsync(target, cancellationToken);
    }

    private async Task BuildAsync(string target, ImageConfig config, Func<string, Task> fill, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder, Modes.Private);
        var staging = target + ".part";
        if (Directory.Exists(staging))
        {
            Directory.Delete(staging, recursive: true);
        }

        var rootfs = Path.Combine(staging, "rootfs");
        Directory.CreateDirectory(rootfs);
        File.SetUnixFileMode(rootfs, Modes.ReadableFolder);
        try
        {
            await fill(staging);
            foreach (var mountPoint in (string[])["job/in", "job/out", "tmp", "proc", "dev"])
            {
                Directory.CreateDirectory(MountPoint(rootfs, mountPoint), Modes.ReadableFolder);
            }

            var unitFile = MountPoint(rootfs, "job/unit.json");
            if (!File.Exists(unitFile))
            {
                await File.WriteAllBytesAsync(unitFile, [], cancellationToken);
            }

            await File.WriteAllBytesAsync(Path.Combine(staging, "config.json"), JsonSerializer.SerializeToUtf8Bytes(config), cancellationToken);

            // The rename is what makes it count: an agent killed half-way finds only a .part folder.
            Directory.Move(staging, target);
        }
        finally
        {
            if (Directory.Exists(staging))
            {
                Directory.Delete(staging, recursive: true);
            }
        }
    }

    private static async Task<UnpackedImage> ReadAsync(string target, CancellationToken cancellationToken)
    {
        var config = Parse<ImageConfig>(await File.ReadAllBytesAsync(Path.Combine(target, "config.json"), cancellationToken), "configuration").Config;
        string[] command = [.. config?.Entrypoint ?? [], .. config?.Cmd ?? []];
        return new UnpackedImage(
            Path.Combine(target, "rootfs"),
            command.Length > 0 ? command : ["/rendertrust/entrypoint"],
            config?.Env ?? ["PATH=/usr/bin:/bin", "HOME=/tmp", "LC_ALL=C"],
            string.IsNullOrEmpty(config?.WorkingDir) ? "/tmp" : config.WorkingDir);
    }

    private static Uri RegistryUri(string repository)
    {
        var slash = repository.IndexOf('/', StringComparison.Ordinal);
        var host = repository[..slash];
        return new Uri($"{(ImageSources.IsLoopback(host) ? "http" : "https")}://{host}/v2/{repository[(slash + 1)..]}/");
    }

    private async Task<byte[]> FetchSmallAsync(Uri uri, string digest, CancellationToken cancellationToken)
    {
        using var response = await GetAsync(uri, cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var buffer = new MemoryStream();
        var chunk = new byte[16 * 1024];
        int read;
        while ((read = await stream.ReadAsync(chunk, cancellationToken)) > 0)
        {
            if (buffer.Length + read > ManifestBytesMax)
            {
                throw new UnitFailedException(FailureClass.DigestMismatch, $"The registry sent more than {ManifestBytesMax} bytes as a manifest.");
            }

            await buffer.WriteAsync(chunk.AsMemory(0, read), cancellationToken);
        }

        var bytes = buffer.ToArray();
        Check(Hex(digest), Convert.ToHexStringLower(SHA256.HashData(bytes)));
        return bytes;
    }

    private async Task DownloadAsync(Uri uri, string path, string sha256, CancellationToken cancellationToken)
    {
        using var response = await GetAsync(uri, cancellationToken);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        await CopyCheckedAsync(stream, path, sha256, cancellationToken);
    }

    private async Task<HttpResponseMessage> GetAsync(Uri uri, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, uri);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/vnd.oci.image.manifest.v1+json"));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/vnd.docker.distribution.manifest.v2+json"));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("*/*", 0.1));
        HttpResponseMessage response;
        try
        {
            response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        }
        catch (HttpRequestException exception)
        {
            throw Unavailable(uri, new ImageSourceException(exception.Message, exception));
        }

        if (!response.IsSuccessStatusCode)
        {
            var status = (int)response.StatusCode;
            response.Dispose();
            throw Unavailable(uri, new ImageSourceException($"it answered {status}"));
        }

        return response;
    }

    // One text for every cause: whoever publishes modules reads it, and must not learn what answers where this node is. The cause is for the node's log.
    private static UnitFailedException Unavailable(Uri uri, ImageSourceException cause) => new(FailureClass.Internal,
        $"Registry {uri.Authority} does not give this node {uri.AbsolutePath}: push the image there, or publish the digest that was pushed. The node's log has the cause; redirects are not followed.", cause);

    private static async Task CopyCheckedAsync(Stream source, string path, string sha256, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await using (var target = new FileStream(path, FileMode.Create, FileAccess.Write))
        {
            var buffer = new byte[128 * 1024];
            long total = 0;
            int read;
            while ((read = await source.ReadAsync(buffer, cancellationToken)) > 0)
            {
                total += read;
                if (total > LayerBytesMax)
                {
                    throw new UnitFailedException(FailureClass.DigestMismatch, $"An image layer is larger than {LayerBytesMax} bytes.");
                }

                hash.AppendData(buffer, 0, read);
                await target.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
            }
        }

        Check(sha256, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    private static void Check(string expected, string actual)
    {
        if (!string.Equals(expected, actual, StringComparison.Ordinal))
        {
            throw new UnitFailedException(FailureClass.DigestMismatch,
                $"Image content has sha256 {actual}, but {expected} was pinned. It was changed after publishing: do not run it; publish the module again if the change is yours.");
        }
    }

    private static string Hex(string digest) => digest.StartsWith("sha256:", StringComparison.Ordinal) && digest.Length == 71
        ? digest[7..]
        : throw new UnitFailedException(FailureClass.DigestMismatch, "The image names content by something other than a sha256 digest.");

    private static T Parse<T>(byte[] bytes, string what)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(bytes) ?? throw new JsonException("null");
        }
        catch (JsonException exception)
        {
            throw new UnitFailedException(FailureClass.DigestMismatch, $"The image's {what} is not readable JSON.", exception);
        }
    }

    /// <summary>Applies one layer: later entries replace earlier ones, <c>.wh.</c> names remove. Device nodes and set-id bits are left out.</summary>
    private static async Task ExtractAsync(string packed, string rootfs, UnpackBudget budget, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(packed);
        var magic = new byte[2];
        await file.ReadAtLeastAsync(magic, 2, throwOnEndOfStream: false, cancellationToken);
        file.Position = 0;
        await using var stream = magic is [0x1f, 0x8b] ? new GZipStream(file, CompressionMode.Decompress) : (Stream)file;
        await using var reader = new TarReader(stream);
        while (await reader.GetNextEntryAsync(copyData: false, cancellationToken) is { } entry)
        {
            var path = Place(rootfs, entry.Name);
            budget.Take(entry.Length);
            if (path == rootfs)
            {
                continue;
            }

            var name = Path.GetFileName(path);
            if (name == ".wh..wh..opq")
            {
                foreach (var child in new DirectoryInfo(Path.GetDirectoryName(path)!).EnumerateFileSystemInfos())
                {
                    Remove(child.FullName);
                }

                continue;
            }

            if (name.StartsWith(".wh.", StringComparison.Ordinal))
            {
                // The name behind the mark is a name again: a ".." there must not remove the folder itself.
                Remove(Place(rootfs, Path.Combine(Path.GetDirectoryName(path)![rootfs.Length..], name[4..])));
                continue;
            }

            await PlaceEntryAsync(rootfs, path, entry, budget, cancellationToken);
        }
    }

    private static async Task PlaceEntryAsync(string rootfs, string path, TarEntry entry, UnpackBudget budget, CancellationToken cancellationToken)
    {
        var parent = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(parent);
        var mode = entry.Mode & (UnixFileMode)0x1ff;
        switch (entry.EntryType)
        {
            case TarEntryType.Directory:
                if (!Directory.Exists(path) || File.ResolveLinkTarget(path, returnFinalTarget: false) is not null)
                {
                    Remove(path);
                    Directory.CreateDirectory(path);
                }

                File.SetUnixFileMode(path, mode | Modes.Private);
                break;
            case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                Remove(path);
                await using (var target = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode | Modes.PrivateFile }))
                {
                    if (entry.DataStream is { } data)
                    {
                        await data.CopyToAsync(target, cancellationToken);
                    }
                }

                File.SetUnixFileMode(path, mode | Modes.PrivateFile);
                break;
            case TarEntryType.SymbolicLink:
                Remove(path);
                File.CreateSymbolicLink(path, entry.LinkName);
                break;
            case TarEntryType.HardLink:
                Remove(path);
                var original = Place(rootfs, entry.LinkName);
                if (new FileInfo(original).LinkTarget is { } linked)
                {
                    // A second name of a link is that link. Copying would read what it points to, on this machine.
                    File.CreateSymbolicLink(path, linked);
                    break;
                }

                budget.Take(File.Exists(original) ? new FileInfo(original).Length : 0);
                File.Copy(original, path);
                break;
            default:
                // Devices and fifos have no place in a module: its /dev is made by the runner.
                break;
        }
    }

    /// <summary>The place of an entry below the root, its folder free of links; an entry that would leave the root, by name or through links, is refused.</summary>
    private static string Place(string rootfs, string name)
    {
        var path = Path.GetFullPath(Path.Combine(rootfs, name.TrimStart('/'))).TrimEnd('/');
        if (path == rootfs)
        {
            return rootfs;
        }

        if (!path.StartsWith(rootfs + "/", StringComparison.Ordinal))
        {
            throw new UnitFailedException(FailureClass.DigestMismatch, "The image holds an entry that points outside of its own root.");
        }

        return Path.Combine(Follow(rootfs, Path.GetDirectoryName(path)![rootfs.Length..]), Path.GetFileName(path));
    }

    /// <summary>Walks a folder's path the way a process inside the image would, link by link: a ".." behind a link means the parent of where the link leads, which no look at the text can tell.</summary>
    private static string Follow(string rootfs, string folder)
    {
        var rest = new Stack<string>(folder.Split('/').Reverse());
        var at = rootfs;
        var links = 0;
        while (rest.TryPop(out var segment))
        {
            if (segment is "" or ".")
            {
                continue;
            }

            if (segment == "..")
            {
                at = at == rootfs ? throw LeavesRoot() : Path.GetDirectoryName(at)!;
                continue;
            }

            var next = Path.Combine(at, segment);
            if (new FileInfo(next).LinkTarget is not { } link)
            {
                at = next;
                continue;
            }

            if (++links > LinksMax)
            {
                throw LeavesRoot();
            }

            // An absolute link starts at the image's own root.
            at = link.StartsWith('/') ? rootfs : at;
            foreach (var part in link.Split('/').Reverse())
            {
                rest.Push(part);
            }
        }

        return at;
    }

    private static UnitFailedException LeavesRoot() =>
        new(FailureClass.DigestMismatch, "The image holds an entry below a link that leaves its own root.");

    /// <summary>Where the runner mounts something: a link of the image in that place would lead the agent elsewhere, so it goes.</summary>
    private static string MountPoint(string rootfs, string name)
    {
        var path = Place(rootfs, name);
        if (new FileInfo(path).LinkTarget is not null)
        {
            File.Delete(path);
        }

        return path;
    }

    private static void Remove(string path)
    {
        if (new FileInfo(path).LinkTarget is not null || File.Exists(path))
        {
            File.Delete(path);
        }
        else if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
    }

    /// <summary>What one image may unpack to: a small archive can hold a file as large as the disk, or one file under a thousand names.</summary>
    private sealed class UnpackBudget
    {
        private const long BytesMax = 32L << 30;
        private const int EntriesMax = 1_000_000;

        private long _bytes;
        private int _entries;

        public void Take(long bytes)
        {
            _bytes += bytes;
            if (_bytes > BytesMax || ++_entries > EntriesMax)
            {
                throw new UnitFailedException(FailureClass.DigestMismatch, $"The image unpacks to more than {BytesMax >> 30} GiB or {EntriesMax} entries. Make it smaller.");
            }
        }
    }

    private sealed record ImageManifest(
        [property: JsonPropertyName("config")] Descriptor? Config,
        [property: JsonPropertyName("layers")] IReadOnlyList<Descriptor>? Layers);

    private sealed record Descriptor([property: JsonPropertyName("digest")] string Digest, [property: JsonPropertyName("size")] long Size);

    private sealed record ImageConfig([property: JsonPropertyName("config")] RunConfig? Config);

    private sealed record RunConfig(
        [property: JsonPropertyName("Entrypoint")] IReadOnlyList<string>? Entrypoint,
        [property: JsonPropertyName("Cmd")] IReadOnlyList<string>? Cmd,
        [property: JsonPropertyName("Env")] IReadOnlyList<string>? Env,
        [property: JsonPropertyName("WorkingDir")] string? WorkingDir);
}
