<?php

// Composer's autoloader where it is, else the same map by hand and a framework of the system's.
if (is_file(__DIR__ . '/../vendor/autoload.php')) {
    require __DIR__ . '/../vendor/autoload.php';

    return;
}
error_reporting(E_ALL & ~E_DEPRECATED); // the system's framework is older than its PHP
spl_autoload_register(function (string $class): void {
    $file = str_replace('\\', '/', $class) . '.php';
    $ours = __DIR__ . '/../src/' . substr($file, strlen('Trunkline/'));
    $made = __DIR__ . '/../grpc/' . $file;
    $path = str_starts_with($class, 'Trunkline\\') && is_file($ours) ? $ours : $made;
    $path = is_file($path) ? $path : stream_resolve_include_path($file);
    if ($path) {
        require_once $path;
    }
});
if (stream_resolve_include_path('Illuminate/autoload.php')) {
    require 'Illuminate/autoload.php';
}
