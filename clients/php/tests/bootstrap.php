<?php

// Composer's autoloader where it is, else the same map by hand and a framework of the system's.
if (is_file(__DIR__ . '/../vendor/autoload.php')) {
    require __DIR__ . '/../vendor/autoload.php';

    return;
}
error_reporting(E_ALL & ~E_DEPRECATED); // the system's framework is older than its PHP
spl_autoload_register(function (string $class): void {
    $path = __DIR__ . '/../src/' . str_replace(['Trunkline\\', '\\'], ['', '/'], $class) . '.php';
    if (str_starts_with($class, 'Trunkline\\') && is_file($path)) {
        require $path;
    }
});
if (stream_resolve_include_path('Illuminate/autoload.php')) {
    require 'Illuminate/autoload.php';
}
