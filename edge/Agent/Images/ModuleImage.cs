using System.Text.RegularExpressions;
using RenderTrust.Agent.Running;

namespace RenderTrust.Agent.Images;

/// <summary>A module's image: where to look, and the digest that decides what is accepted.</summary>
/// <param name="Repository">Host and path without tag, <c>127.0.0.1:5000/rendertrust/povray</c>.</param>
/// <param name="Digest"><c>sha256:</c> and 64 hex characters.</param>
/// <param name="Rootfs">The same content as a tarball, for runners without an engine.</param>
internal sealed partial record ModuleImage(string Repository, string Digest, RootfsTarball? Rootfs = null)
{
    public string Reference => $"{Repository}@{Digest}";

    /// <summary>A file name for what was made of this image.</summary>
    public string Hex => Digest["sha256:".Length..];

    /// <summary>Refuses anything that is not pinned: a tag can be moved under us.</summary>
    public static ModuleImage Parse(string repository, string digest, RootfsTarball? rootfs = null)
    {
        if (!DigestForm().IsMatch(digest))
        {
            throw new UnitFailedException(FailureClass.DigestMismatch,
                $"The module's image is not pinned: digest '{Shorten(digest)}' is not 'sha256:' and 64 hex characters. Publish the module with the digest that the registry printed.");
        }

        if (!RepositoryForm().IsMatch(repository))
        {
            throw new UnitFailedException(FailureClass.DigestMismatch,
                $"The module's image reference '{Shorten(repository)}' is not HOST[:PORT]/PATH without tag or digest.");
        }

        return new ModuleImage(repository, digest, rootfs);
    }

    private static string Shorten(string text) => text.Length <= 100 ? text : text[..100] + "...";

    [GeneratedRegex("^sha256:[0-9a-f]{64}$", RegexOptions.CultureInvariant)]
    private static partial Regex DigestForm();

    [GeneratedRegex(@"^[A-Za-z0-9.\-]+(:[0-9]{1,5})?(/[a-z0-9]+([._\-]+[a-z0-9]+)*)+$", RegexOptions.CultureInvariant)]
    private static partial Regex RepositoryForm();
}

/// <param name="Url">A path on this node or an https address.</param>
/// <param name="Sha256">Of the tarball as it lies there, 64 lower-case hex characters.</param>
internal sealed record RootfsTarball(string Url, string Sha256);
