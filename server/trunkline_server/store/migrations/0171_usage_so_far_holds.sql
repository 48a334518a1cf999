-- Looks at all rows, while others are written.

ALTER TABLE usage VALIDATE CONSTRAINT usage_so_far;
