using System.Security.Cryptography;
using System.Text;

namespace RenderTrust.Cli.Platform;

/// <summary>Secrets of a local platform: made at first use, one file each of mode 0600, the same at every later start.</summary>
internal static class LocalSecrets
{
    private const int SecretBytes = 24;

    public static string ReadOrMake(string folder, string name)
    {
        var file = Path.Combine(folder, name);
        if (!File.Exists(file))
        {
            var fresh = file + ".new";
            using (var stream = new FileStream(fresh, new FileStreamOptions
            {
                Mode = FileMode.Create,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            }))
            {
                stream.Write(Encoding.ASCII.GetBytes(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(SecretBytes))));
            }

            // Whole or not at all: half a password would lock its owner out.
            File.Move(fresh, file, overwrite: true);
        }

        return File.ReadAllText(file);
    }
}
