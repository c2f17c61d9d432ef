namespace RenderTrust.Cli.Output;

/// <summary>Files that a command writes at its end, looked at before it begins: a wrong path should not cost the work.</summary>
internal static class OutputFiles
{
    /// <summary>Makes the file's folder. Null when no file was asked for.</summary>
    public static string? Prepare(string option, string? file)
    {
        if (file is null)
        {
            return null;
        }

        var full = Path.GetFullPath(file);
        if (file.Length == 0 || Directory.Exists(full))
        {
            throw new CliException($"{option} is '{file}', which is a folder. Give the name of a file in it.", exitCode: 2);
        }

        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            // Appending nothing keeps what is there, and is refused where writing would be.
            var isNew = !File.Exists(full);
            File.AppendAllText(full, "");
            if (isNew)
            {
                File.Delete(full);
            }

            return full;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CliException($"{option} is '{file}', which cannot be written: {exception.Message.TrimEnd('.')}. Give a path where you may write.", exitCode: 2);
        }
    }
}
