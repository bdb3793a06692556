# perl-tests.pl FILE…: runs test files that speak TAP, each in a process of its own, and prints what came of them.
use strict;
use warnings;

my ($files, $tests, $failures) = (0, 0, 0);
for my $file (@ARGV) {
    open my $output, '-|', "$^X -I../lib $file 2>/dev/null </dev/null" or die "$file: $!\n";
    my ($planned, $passed, @failed, $skipped) = (-1, 0);
    while (my $line = <$output>) {
        if ($line =~ /^1\.\.(\d+)(?:\s*#\s*(?i:skip)\S*\s*(.*))?/) { ($planned, $skipped) = ($1, $2) }
        elsif ($line =~ /^ok\b/) { $passed++ }
        elsif ($line =~ /^not ok (\d+)/) { $line =~ /#\s*TODO/i ? $passed++ : push @failed, $1 }
    }
    close $output;
    my $status = $? >> 8 || $? & 127;
    my $bad = @failed || $status || $planned != $passed;
    $files++;
    $tests += $passed;
    $failures++ if $bad;
    print "$file: $passed of $planned";
    print ", skipped: $skipped" if defined $skipped;
    print ", failed: @failed" if @failed;
    print ", status $status" if $status;
    print $bad ? ", BAD\n" : "\n";
}
print "$files files, $tests tests passed, $failures files bad\n";
exit($failures ? 1 : 0);
